package scan

import "fmt"

// A Type is what a finding is; its [Contract] says what follows.
type Type string

// The types of findings.
const (
	TypeLayer      Type = "layer"
	TypeImageLayer Type = "image-layer"
	TypeRWLayer    Type = "rw-layer"
	TypeContainer  Type = "container"
	TypeVolume     Type = "volume"
	TypeBuilder    Type = "builder"
	TypeDownload   Type = "download"
	TypeLink       Type = "link"
	TypeBuild      Type = "build"
	TypeBackend    Type = "backend"
	TypeRoot       Type = "root"
	TypeMetadata   Type = "metadata"
)

// DefaultSet says whether prune takes an orphan of a type without being told.
type DefaultSet string

// The default sets.
const (
	DefaultYes            DefaultSet = "yes"
	DefaultUnlessLostTag  DefaultSet = "yes, unless a tag or a container names an image whose config is lost and no registry has the layer"
	DefaultUnlessPrecious DefaultSet = "yes, unless it holds data that nobody can make again"
	DefaultUnlessNamed    DefaultSet = "those without a name of their own and those that the daemon does not know, unless they hold data that nobody can make again; named ones with --all-volumes"
	DefaultAllVolumes     DefaultSet = "with --all-volumes"
	DefaultNo             DefaultSet = "no"
	DefaultNever          DefaultSet = "never: it is only reported"
)

// precious reports whether what holds data that nobody can make again is left out.
func (d DefaultSet) precious() bool {
	return d == DefaultUnlessPrecious || d == DefaultUnlessNamed || d == DefaultAllVolumes
}

// AgeRule says how the age of a type is proven (rule 4).
type AgeRule string

// The age rules.
const (
	AgeMade       AgeRule = "made before the daemon started, or unchanged for the grace"
	AgeMadeBefore AgeRule = "made before the daemon started"
	AgeLastChange AgeRule = "unchanged for the grace"
	AgeRecords    AgeRule = "its records and own directories unchanged for the grace"
)

// UnknownLabels says what an object matches whose labels are not known,
// because the record that would tell is gone.
type UnknownLabels string

// What unknown labels match under a label!= filter.
const (
	UnknownMatches           UnknownLabels = "matches label!="
	UnknownNeverMatches      UnknownLabels = "never matches label!="
	UnknownMatchesWithOrigin UnknownLabels = "matches label!= only if a registry has the layer, or no tag is lost"
	UnknownUnlessInit        UnknownLabels = "matches label!= unless it may be a container's"
)

// A Contract is what the program promises about one type: what makes a thing
// ours, what must be known before it is, how it goes and how it comes back.
// It is data: Classify, the plan and inspect read it.
type Contract struct {
	Type    Type          `json:"type"`
	What    string        `json:"what"`           // what makes it ours
	Reason  string        `json:"reason"`         // that in a few words, for a table
	Needs   []SourceID    `json:"needs"`          // read to the end
	Default DefaultSet    `json:"default"`        // whether prune takes it by itself
	Online  string        `json:"removedOnline"`  // how it goes while the daemon runs
	Offline string        `json:"removedOffline"` // how it goes while no daemon runs
	Undo    string        `json:"undo"`           // how it comes back
	Labels  string        `json:"labelsFrom"`     // whose labels it carries
	Unknown UnknownLabels `json:"unknownLabels"`  // what it matches where they are not known
	Age     AgeRule       `json:"age"`            // what rules out work in flight
}

// layerNeeds are the sources that can own a layer.
var layerNeeds = []SourceID{
	SourceQuarantine, SourceGraph, SourceLayerDB, SourceContainers, SourceImageDB, SourceBuildKit, SourcePlugins, SourceVolumes,
	SourceSwarm, SourceAPI, SourceSight, SourceSystem, SourceMounts, SourceProcesses, SourceDevices,
}

// volumeNeeds are the sources that can use a volume.
var volumeNeeds = []SourceID{
	SourceQuarantine, SourceVolumeDirs, SourceRoots, SourceContainers, SourcePlugins, SourceVolumes, SourceSwarm, SourceAPI, SourceSight,
	SourceSystem, SourceMounts, SourceProcesses,
}

// Contracts is DESIGN's contract, one row a type.
var Contracts = []Contract{
	{
		Type:    TypeLayer,
		What:    "a layer of the storage driver that no layerdb entry, mount record, build record or quarantine names, nor any image or container of Docker before 1.10, nor any live layer below which it lies",
		Reason:  "no record names it",
		Needs:   layerNeeds,
		Default: DefaultYes,
		Online:  "by hand: to quarantine if it has or is an -init (it may be a container's) or no Docker since 1.10 has used the data root, else at once after the second look; a thin device is marked, and deleted by the daemon when it stops (20.10 on); a dataset waits until Docker is stopped",
		Offline: "the same; a thin device is put aside by its metadata file, and deleted where that is freed; one that no such file names only by rm --purge; a dataset only by rm ID: renamed in its pool, and destroyed where it is purged",
		Undo:    "restore from quarantine; none for what went at once",
		Labels:  "none: the record that would tell is gone",
		Unknown: UnknownUnlessInit,
		Age:     AgeMade,
	},
	{
		Type:    TypeImageLayer,
		What:    "a layerdb entry and its layer that no image, container, mount record, build record or work in flight needs",
		Reason:  "no image, container or build needs it",
		Needs:   append([]SourceID{SourceOrigins}, layerNeeds...),
		Default: DefaultUnlessLostTag,
		Online:  "by the daemon: adopted as an image of ours and removed as one",
		Offline: "by hand, the topmost first; a dataset only by rm ID",
		Undo:    "none; rescue beforehand gives it a tag",
		Labels:  "the image's config, while it exists",
		Unknown: UnknownMatchesWithOrigin,
		Age:     AgeMade,
	},
	{
		Type:    TypeRWLayer,
		What:    "a mount record and its layers whose container, image mount or builder is gone",
		Reason:  "its container is gone",
		Needs:   layerNeeds,
		Default: DefaultUnlessPrecious,
		Online:  "by hand to quarantine, the record last; its parents stay pinned until the daemon restarts",
		Offline: "by hand to quarantine, the record last",
		Undo:    "restore, with its record",
		Labels:  "the container's config, else every image that has its parent chain",
		Unknown: UnknownNeverMatches,
		Age:     AgeLastChange,
	},
	{
		Type:    TypeContainer,
		What:    "a container's directory without a readable config.v2.json and without a mount record",
		Reason:  "it has no config and no layer",
		Needs:   []SourceID{SourceQuarantine, SourceLayerDB, SourceContainers, SourceSwarm, SourceAPI, SourceSight, SourceSystem, SourceMounts, SourceProcesses},
		Default: DefaultUnlessPrecious,
		Online:  "by hand: renamed to quarantine",
		Offline: "the same",
		Undo:    "restore",
		Labels:  "none: its config is gone",
		Unknown: UnknownNeverMatches,
		Age:     AgeLastChange,
	},
	{
		Type:    TypeVolume,
		What:    "a directory of the local volume driver that no container, loaded or not, names, nor any plugin, service, task or quarantine, nor a path of anything here",
		Reason:  "nothing uses it",
		Needs:   volumeNeeds,
		Default: DefaultUnlessNamed,
		Online:  "one that the daemon lists: by the daemon, once its files have second names in quarantine; any other: renamed to quarantine",
		Offline: "one that has no record: renamed to quarantine; any other once the daemon runs",
		Undo:    "restore into a new volume",
		Labels:  "its own, in volumes/metadata.db",
		Unknown: UnknownNeverMatches,
		Age:     AgeLastChange,
	},
	{
		Type:    TypeBuilder,
		What:    "the volume of a builder of buildx that no container has: its cache",
		Reason:  "its builder's container is gone",
		Needs:   volumeNeeds,
		Default: DefaultAllVolumes,
		Online:  "as a volume",
		Offline: "as a volume",
		Undo:    "as a volume",
		Labels:  "its own, in volumes/metadata.db",
		Unknown: UnknownNeverMatches,
		Age:     AgeLastChange,
	},
	{
		Type:    TypeDownload,
		What:    "a temporary file of a known name, a write-set, or the removal of a layer or a plugin under way that was begun before the daemon started and that no process has open",
		Reason:  "left by an interrupted operation",
		Needs:   []SourceID{SourceQuarantine, SourceLayerDB, SourceImageDB, SourceAPI, SourceSight, SourceMounts, SourceProcesses},
		Default: DefaultYes,
		Online:  "by hand, at once; what a plugin had, which may be data, to quarantine",
		Offline: "the same",
		Undo:    "none; restore of what a plugin had",
		Labels:  "none",
		Unknown: UnknownMatches,
		Age:     AgeMadeBefore,
	},
	{
		Type:    TypeLink,
		What:    "a short link to a layer that is not there and that no lower file names, or an empty mount point of a container that is not there",
		Reason:  "its layer is gone",
		Needs:   []SourceID{SourceQuarantine, SourceLayerDB, SourceContainers, SourceAPI, SourceSight, SourceMounts, SourceProcesses},
		Default: DefaultYes,
		Online:  "by hand: unlinked",
		Offline: "the same",
		Undo:    "none; its target is recorded",
		Labels:  "none",
		Unknown: UnknownMatches,
		Age:     AgeMade,
	},
	{
		Type:    TypeBuild,
		What:    "the build cache of Docker before 20.10, which the Docker that uses the data root does not read",
		Reason:  "the daemon does not use it since Docker 20.10",
		Needs:   []SourceID{SourceQuarantine, SourceContainers, SourceAPI, SourceSight, SourceMounts, SourceProcesses},
		Default: DefaultYes,
		Online:  "by hand: renamed to quarantine",
		Offline: "the same",
		Undo:    "restore",
		Labels:  "none",
		Unknown: UnknownMatches,
		Age:     AgeMadeBefore,
	},
	{
		Type:    TypeBackend,
		What:    "all that a storage driver has left which the daemon does not use: its tree, its image store, its containers' directories",
		Reason:  "the daemon does not use this storage driver",
		Needs:   []SourceID{SourceQuarantine, SourceBackends, SourceContainers, SourcePlugins, SourceVolumes, SourceSwarm, SourceAPI, SourceSight, SourceSystem, SourceMounts, SourceProcesses},
		Default: DefaultNo,
		Online:  "only with prune --backend or rm, and once its name was typed: renamed to quarantine as a whole",
		Offline: "the same",
		Undo:    "restore",
		Labels:  "its images' and containers' configs, all that can be read",
		Unknown: UnknownNeverMatches,
		Age:     AgeRecords,
	},
	{
		Type:    TypeRoot,
		What:    "the data root of another daemon within this one: of userns-remap, of a daemon in a container, moved or copied here",
		Reason:  "another daemon's data root that nothing here uses",
		Needs:   []SourceID{SourceRoots, SourceContainers, SourcePlugins, SourceVolumes, SourceSwarm, SourceAPI, SourceSystem, SourceMounts, SourceProcesses},
		Default: DefaultNever,
		Online:  "never: docker orphans --data-root looks into it, and whoever knows what it was for may remove it",
		Offline: "the same",
		Undo:    "none is needed",
		Labels:  "none",
		Unknown: UnknownNeverMatches,
		Age:     AgeRecords,
	},
	{
		Type:    TypeMetadata,
		What:    "a record whose data is gone, and that only is in a pull's way: an image's config that no daemon can load, a layerdb entry that names no layer, what is remembered of a registry's layer that is not there",
		Reason:  "its data is gone",
		Needs:   layerNeeds,
		Default: DefaultNo,
		Online:  "only with check --repair: renamed to quarantine, if the daemon has found it so when it started",
		Offline: "only with check --repair: renamed to quarantine",
		Undo:    "restore",
		Labels:  "none",
		Unknown: UnknownMatches,
		Age:     AgeMadeBefore,
	},
}

// ContractOf returns the contract of a type. A type without one is a mistake
// in the program.
func ContractOf(t Type) *Contract {
	for i := range Contracts {
		if Contracts[i].Type == t {
			return &Contracts[i]
		}
	}
	panic(fmt.Sprintf("type %q has no contract", t))
}

// TypeOf is the type of a finding whose record this is.
func TypeOf(n Node) Type {
	switch n.Kind {
	case KindLayer, KindPart:
		return TypeLayer
	case KindChain:
		return TypeImageLayer
	case KindMount:
		return TypeRWLayer
	case KindContainer:
		return TypeContainer
	case KindVolume:
		if IsBuilderVolume(base(n.Name)) {
			return TypeBuilder
		}
		return TypeVolume
	case KindRemoving, KindDownload:
		return TypeDownload
	case KindLink, KindMountPoint:
		return TypeLink
	case KindCache:
		return TypeBuild
	case KindBackend:
		return TypeBackend
	case KindRoot:
		return TypeRoot
	case KindRecord:
		return TypeMetadata
	}
	panic(fmt.Sprintf("%s is not a thing on disk", n.Kind))
}
