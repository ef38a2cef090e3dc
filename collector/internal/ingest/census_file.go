package ingest

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"time"
)

// The file of the census: fixed entries, then what explains them as JSON, then the length of that and a checksum of all. It is
// written soon after there is a new series, so that a crash lets nobody past a cap that was reached before: what came since is in the journal,
// which keeps more than censusLookEvery and is counted again. When series were last seen is written less often.
const (
	censusLookEvery  = 30 * time.Second
	censusSaveEvery  = 5 * time.Minute
	censusEntryBytes = 20
	censusTailBytes  = 8
	mostCensusBytes  = 4 << 30
)

// censusNotes explain the entries of the file.
type censusNotes struct {
	Start    time.Time // minutes are counted from here
	Secret   []byte    // of the hashes
	Agents   []NodeID
	Projects []string
}

// newSecret keeps a sender from making series that are taken for one another.
func newSecret() []byte {
	secret := make([]byte, 16)
	_, _ = rand.Read(secret) // never fails
	return secret
}

// Run saves the census when there is something to save, and when ctx ends.
func (c *Census) Run(ctx context.Context) error {
	if c.cfg.File == "" {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(censusLookEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return c.save()
		}
		if !c.due(c.cfg.Now()) {
			continue
		}
		if err := c.save(); err != nil {
			c.log.Warn("the census of series was not saved", "error", err)
		}
	}
}

// due tells whether there is a series that the file does not know, or what it says is old.
func (c *Census) due(now time.Time) bool {
	return c.entered.Load() != c.savedEntered || now.Sub(c.savedAt) >= censusSaveEvery
}

func (c *Census) save() (err error) {
	entered, now := c.entered.Load(), c.cfg.Now() // before the writing: what comes meanwhile is saved again
	next := filepath.Join(filepath.Dir(c.cfg.File), "."+filepath.Base(c.cfg.File)+".new")
	file, err := os.OpenFile(next, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err == nil {
		err = errors.Join(c.write(file), file.Close())
	}
	if err == nil {
		err = os.Rename(next, c.cfg.File)
	}
	if err != nil {
		return fmt.Errorf("save the census: %w", err)
	}
	c.savedEntered, c.savedAt = entered, now
	return nil
}

func (c *Census) write(to io.Writer) error {
	sum := crc32.NewIEEE()
	out := bufio.NewWriterSize(io.MultiWriter(to, sum), 1<<20)
	notes := censusNotes{Start: c.start, Secret: c.secret, Agents: []NodeID{{Node: others}}, Projects: []string{others}}
	agents, projects := map[NodeID]uint32{{Node: others}: 0}, map[string]uint32{others: 0}
	var entries []byte
	for i := range c.shards {
		shard := &c.shards[i]
		entries = entries[:0]
		shard.mu.Lock()
		c.mu.Lock()
		for hash, s := range shard.series {
			project := none
			if s.project != none {
				project = numbered(projects, &notes.Projects, c.projects.list[s.project].name)
			}
			entries = binary.LittleEndian.AppendUint64(entries, hash)
			entries = binary.LittleEndian.AppendUint32(entries, numbered(agents, &notes.Agents, c.agents.list[s.agent].name))
			entries = binary.LittleEndian.AppendUint32(entries, project)
			entries = binary.LittleEndian.AppendUint32(entries, uint32(s.seen))
		}
		c.mu.Unlock()
		shard.mu.Unlock()
		if _, err := out.Write(entries); err != nil {
			return err
		}
	}
	text, err := json.Marshal(notes)
	if err != nil {
		return err
	}
	if _, err := out.Write(binary.LittleEndian.AppendUint32(text, uint32(len(text)))); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	_, err = to.Write(binary.LittleEndian.AppendUint32(nil, sum.Sum32()))
	return err
}

// numbered is the place of name in list, where it is put if it is not there.
func numbered[K comparable](known map[K]uint32, list *[]K, name K) uint32 {
	at, is := known[name]
	if !is {
		at = uint32(len(*list))
		known[name] = at
		*list = append(*list, name)
	}
	return at
}

// load reads the file of the run before into an empty census.
func (c *Census) load() error {
	if c.cfg.File == "" {
		return nil
	}
	about, err := os.Stat(c.cfg.File)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("read the census: %w", err)
	case about.Size() > mostCensusBytes:
		return fmt.Errorf("read the census: %s has %d bytes", c.cfg.File, about.Size())
	}
	data, err := os.ReadFile(c.cfg.File)
	if err != nil {
		return fmt.Errorf("read the census: %w", err)
	}
	if err := c.read(data); err != nil {
		return fmt.Errorf("read the census: %s: %w", c.cfg.File, err)
	}
	return nil
}

var errCensus = errors.New("it is damaged")

// read takes what is whole, or nothing.
func (c *Census) read(data []byte) error {
	if len(data) < censusTailBytes || crc32.ChecksumIEEE(data[:len(data)-4]) != binary.LittleEndian.Uint32(data[len(data)-4:]) {
		return errCensus
	}
	data = data[:len(data)-4]
	length := int64(binary.LittleEndian.Uint32(data[len(data)-4:]))
	data = data[:len(data)-4]
	if length > int64(len(data)) || (int64(len(data))-length)%censusEntryBytes != 0 {
		return errCensus
	}
	var notes censusNotes
	if err := json.Unmarshal(data[int64(len(data))-length:], &notes); err != nil {
		return err
	}
	now := c.cfg.Now()
	age := now.Sub(notes.Start)
	if len(notes.Secret) != len(c.secret) || age < 0 || age > 100*365*24*time.Hour {
		return errCensus
	}
	c.start, c.secret = notes.Start, notes.Secret
	minute := c.minute()
	c.swept.Store(minute)
	c.mu.Lock()
	defer c.mu.Unlock()
	for entries := data[:int64(len(data))-length]; len(entries) > 0; entries = entries[censusEntryBytes:] {
		hash := binary.LittleEndian.Uint64(entries)
		agent, project := binary.LittleEndian.Uint32(entries[8:]), binary.LittleEndian.Uint32(entries[12:])
		seen := int32(binary.LittleEndian.Uint32(entries[16:]))
		if int(agent) >= len(notes.Agents) || project != none && int(project) >= len(notes.Projects) {
			continue
		}
		if seen > minute || minute-seen > int32(censusWindow/time.Minute) {
			continue
		}
		name := ""
		if project != none {
			name = notes.Projects[project]
		}
		c.put(hash, notes.Agents[agent], name, seen)
	}
	return nil
}

// put adds a series that was counted before. The lock of the owners is held; nobody else has the census yet.
func (c *Census) put(hash uint64, id NodeID, project string, seen int32) {
	shard := &c.shards[hash%uint64(len(c.shards))]
	if _, known := shard.series[hash]; known {
		return
	}
	c.place(shard, hash, c.agents.of(id, c.cfg.Owners, func(n NodeID) NodeID { return n }), c.projectOf(project), seen)
}
