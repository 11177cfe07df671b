package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// maxDepth bounds branches and buckets within buckets together. A tree of
// this depth has more keys than a file can hold.
const maxDepth = 128

// verify reads every page of the newest transaction and makes sure that
// bbolt can: that each page is within the file, of the right kind, used once,
// with elements that are within it and in order. bbolt's own check comes
// later and cannot come first: it runs in a goroutine where a panic or a
// fault ends the program.
func verify(ctx context.Context, r io.ReaderAt, m metas) error {
	v := &verifier{ctx: ctx, r: r, meta: m.newest()}
	if v.pages <= firstPage {
		return fmt.Errorf("%w: %d pages", ErrDamaged, v.pages)
	}
	v.seen = make([]bool, v.pages)
	v.seen[0], v.seen[1] = true, true
	err := v.tree(v.root, span{buckets: true}, 0)
	if err == nil && v.freelist != noFreelist {
		err = v.free()
	}
	if err == nil || v.ctx.Err() != nil || errors.Is(err, ErrDamaged) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

type verifier struct {
	ctx context.Context
	r   io.ReaderAt
	meta
	seen []bool // by page: used by the tree or the freelist, or free
}

// A page is one with all that overflows it.
type page struct {
	id    uint64
	flags uint16
	count int
	data  []byte // with its header
}

// An element is one of a branch or leaf page.
type element struct {
	key    []byte
	value  []byte // leaf
	bucket bool   // leaf
	child  uint64 // branch
}

// page reads a page that must not have been used before.
func (v *verifier) page(id uint64) (page, error) {
	if err := v.ctx.Err(); err != nil {
		return page{}, err
	}
	if id >= v.pages {
		return page{}, fmt.Errorf("page %d: out of bounds", id)
	}
	var header [headerSize]byte
	off := int64(id) * v.pageSize
	if err := readFull(v.r, header[:], off); err != nil {
		return page{}, err
	}
	p := page{id: id, flags: native.Uint16(header[8:]), count: int(native.Uint16(header[10:]))}
	overflow := uint64(native.Uint32(header[12:]))
	if native.Uint64(header[:]) != id {
		return page{}, fmt.Errorf("page %d: says that it is page %d", id, native.Uint64(header[:]))
	}
	if overflow >= v.pages-id {
		return page{}, fmt.Errorf("page %d: out of bounds: %d more pages", id, overflow)
	}
	for i := id; i <= id+overflow; i++ {
		if err := v.use(i); err != nil {
			return page{}, err
		}
	}
	p.data = make([]byte, int64(overflow+1)*v.pageSize)
	return p, readFull(v.r, p.data, off)
}

// use marks a page, which must not be used otherwise.
func (v *verifier) use(id uint64) error {
	if id >= v.pages {
		return fmt.Errorf("page %d: out of bounds", id)
	}
	if v.seen[id] {
		return fmt.Errorf("page %d: used twice", id)
	}
	v.seen[id] = true
	return nil
}

// A span is what may be in a tree: keys that are at least low and less than
// high, where those are not nil, and at the top nothing but buckets.
type span struct {
	low, high []byte
	buckets   bool
}

// tree verifies a page and all below it.
func (v *verifier) tree(id uint64, in span, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("page %d: too deep", id)
	}
	p, err := v.page(id)
	if err != nil {
		return err
	}
	elements, err := p.elements()
	if err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	if err := ordered(elements, in); err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	for i, e := range elements {
		switch {
		case p.flags == branchPage:
			below := span{e.key, in.high, in.buckets}
			if i+1 < len(elements) {
				below.high = elements[i+1].key
			}
			err = v.tree(e.child, below, depth+1)
		case e.bucket:
			err = v.bucket(e.value, depth+1)
		case in.buckets:
			err = fmt.Errorf("page %d: key %x is no bucket", id, e.key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bucket verifies a bucket from the value that stands for it: a root page's
// number or, for small ones, the page itself.
func (v *verifier) bucket(value []byte, depth int) error {
	if len(value) < bucketHeader {
		return fmt.Errorf("bucket of %d bytes", len(value))
	}
	if root := native.Uint64(value); root != 0 {
		return v.tree(root, span{}, depth)
	}
	data := value[bucketHeader:]
	if len(data) < headerSize {
		return fmt.Errorf("inline bucket of %d bytes", len(data))
	}
	p := page{flags: native.Uint16(data[8:]), count: int(native.Uint16(data[10:])), data: data}
	if p.flags != leafPage {
		return fmt.Errorf("inline bucket: page type %#x", p.flags)
	}
	elements, err := p.elements()
	if err != nil {
		return fmt.Errorf("inline bucket: %w", err)
	}
	for _, e := range elements {
		if e.bucket {
			return errors.New("inline bucket: has a bucket")
		}
	}
	return ordered(elements, span{})
}

// elements reads the elements of a branch or leaf page. Their slices share
// the page's memory.
func (p page) elements() ([]element, error) {
	if p.flags != branchPage && p.flags != leafPage {
		return nil, fmt.Errorf("page type %#x", p.flags)
	}
	if p.flags == branchPage && p.count == 0 {
		return nil, errors.New("branch without children")
	}
	if len(p.data) < headerSize+p.count*elementSize {
		return nil, fmt.Errorf("%d elements do not fit", p.count)
	}
	elements := make([]element, p.count)
	for i := range elements {
		var err error
		if elements[i], err = p.element(headerSize + i*elementSize); err != nil {
			return nil, fmt.Errorf("element %d: %w", i, err)
		}
	}
	return elements, nil
}

// element reads the element whose head is at an offset of the page. The
// position of its key is relative to that.
func (p page) element(off int) (element, error) {
	head := p.data[off:]
	word := func(i int) uint64 { return uint64(native.Uint32(head[4*i:])) }
	var e element
	pos, keySize, valueSize := word(0), word(1), uint64(0)
	if p.flags == leafPage {
		if word(0)&^bucketFlag != 0 {
			return e, fmt.Errorf("flags %#x", word(0))
		}
		e.bucket = word(0) == bucketFlag
		pos, keySize, valueSize = word(1), word(2), word(3)
	} else {
		e.child = native.Uint64(head[8:])
	}
	if pos+keySize+valueSize > uint64(len(head)) {
		return e, errors.New("out of bounds")
	}
	e.key = head[pos : pos+keySize]
	e.value = head[pos+keySize : pos+keySize+valueSize]
	return e, nil
}

// ordered makes sure that keys ascend and are in a span.
func ordered(elements []element, in span) error {
	for i, e := range elements {
		switch {
		case i == 0 && in.low != nil && bytes.Compare(e.key, in.low) < 0,
			i > 0 && bytes.Compare(e.key, elements[i-1].key) <= 0,
			in.high != nil && bytes.Compare(e.key, in.high) >= 0:
			return fmt.Errorf("key %x is out of order", e.key)
		}
	}
	return nil
}

// free verifies the freelist, and that every page is either used or free.
func (v *verifier) free() error {
	p, err := v.page(v.freelist)
	if err != nil {
		return err
	}
	if p.flags != freelistPage {
		return fmt.Errorf("page %d: page type %#x instead of a freelist", p.id, p.flags)
	}
	ids, count := p.data[headerSize:], uint64(p.count)
	if count == 0xFFFF { // the number is in the first place then
		count, ids = native.Uint64(ids), ids[8:]
	}
	if count > uint64(len(ids)/8) {
		return fmt.Errorf("page %d: %d free pages do not fit", p.id, count)
	}
	for i := range count {
		if err := v.use(native.Uint64(ids[8*i:])); err != nil {
			return fmt.Errorf("freelist: %w", err)
		}
	}
	for id, seen := range v.seen {
		if !seen {
			return fmt.Errorf("page %d: neither used nor free", id)
		}
	}
	return nil
}
