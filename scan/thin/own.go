package thin

import (
	"encoding/binary"
	"fmt"
	"io"
)

const (
	mappingSize = 8
	blockShift  = 24 // of a mapping: the block of data, and below it when it was mapped
)

// Own tells how many bytes of data each device of a pool has that no other has:
// what comes free when it is deleted. Devices that were made of each other share
// nodes of their trees of mappings, and leaves that differ share blocks of data;
// what is reached on one way alone is one device's own.
func Own(r io.ReaderAt) (map[uint32]int64, error) {
	m, super, err := readSuper(r)
	if err != nil {
		return nil, err
	}
	s := &sharing{tree: tree{r: r, leaf: mappingSize}, nodes: map[uint64]*mapped{}, common: map[uint64]bool{}}
	roots := map[uint32]uint64{}
	devices := &tree{r: r, leaf: mappingSize, seen: map[uint64]bool{0: true}}
	err = devices.walk(binary.LittleEndian.Uint64(super[superMappings:]), 0, func(id uint64, value []byte) error {
		if id > MaxDevice {
			return fmt.Errorf("no device has the number %d", id)
		}
		root := binary.LittleEndian.Uint64(value)
		roots[uint32(id)] = root
		return s.visit(root, 0)
	})
	if err != nil {
		return nil, err
	}
	own := map[uint32]int64{}
	for id, root := range roots {
		own[id] = s.own(root) * m.BlockSize
	}
	return own, nil
}

// sharing is who shares what.
type sharing struct {
	tree
	nodes  map[uint64]*mapped
	common map[uint64]bool // blocks of data that were met, and whether more than once
}

// A mapped is a node of devices' trees of mappings.
type mapped struct {
	parents int
	below   []uint64 // the numbers of nodes
	blocks  []uint64 // of data, in a leaf
}

// visit reads a node and what is below it, once.
func (s *sharing) visit(number uint64, depth int) error {
	if n := s.nodes[number]; n != nil {
		n.parents++
		return nil
	}
	if depth > maxDepth {
		return fmt.Errorf("block %d: lies too deep", number)
	}
	n, err := s.node(number)
	if err != nil {
		return fmt.Errorf("block %d: %w", number, err)
	}
	is := &mapped{parents: 1}
	s.nodes[number] = is
	for i := range n.entries {
		value := binary.LittleEndian.Uint64(n.value(i))
		if !n.leaf {
			is.below = append(is.below, value)
			if err := s.visit(value, depth+1); err != nil {
				return err
			}
			continue
		}
		block := value >> blockShift
		is.blocks = append(is.blocks, block)
		_, met := s.common[block]
		s.common[block] = met
	}
	return nil
}

// own counts the blocks of data below a node that are reached on this way alone.
func (s *sharing) own(number uint64) int64 {
	n := s.nodes[number]
	if n.parents > 1 {
		return 0
	}
	var sum int64
	for _, below := range n.below {
		sum += s.own(below)
	}
	for _, block := range n.blocks {
		if !s.common[block] {
			sum++
		}
	}
	return sum
}
