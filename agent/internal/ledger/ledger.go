// Package ledger keeps small facts by key in one file, written through, so that they survive a kill -9 of the process.
//
// Each change is one line appended with one write(2): what Put has returned from is in the kernel's hands and outlives the process;
// Sync, called every few seconds, makes it outlive the machine. A line is the CRC-32 of the rest, a space, and
// {"key":…,"value":…}; no value means that the key is gone, and the last line of a key counts. A damaged line costs its key's last
// change, a damaged head the file, which is set aside; both are counted. The file is written anew, atomically, at every opening and when
// most of its lines are outdated.
package ledger

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sys/unix"
)

const (
	head = "plimsoll ledger 1\n"
	// maxLine bounds a line; what is longer is damage, or is not written.
	maxLine = 1 << 20
	// slack is how many outdated lines the file may have beyond one for each key.
	slack = 4096
)

// Ledger is the file and what is in it. Safe for concurrent use.
type Ledger struct {
	path    string
	log     *slog.Logger
	metrics *metrics
	lock    *os.File // two agents on one file would lose each other's changes

	mu     sync.Mutex
	values map[string][]byte
	file   *os.File // nil: could not be written, the next change tries anew
	lines  int
	dirty  bool // written and not synced
	failed bool // the last write failed, which has been logged
}

type metrics struct{ damaged, writes, failures prometheus.Counter }

// Open reads the file, which need not exist, and writes it anew. A damaged one costs what was damaged. On a disk that is full, read-only
// or failing what is there is read, and changes stay in memory until one can be written; any other directory that can not be written is
// an error.
func Open(path string, log *slog.Logger, reg prometheus.Registerer) (*Ledger, error) {
	l := &Ledger{path: path, log: log, values: map[string][]byte{}, metrics: &metrics{
		damaged:  prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_agent_ledger_damaged_total", Help: "Lines of the ledger of slot counters, or whole files, that were damaged and left out."}),
		writes:   prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_agent_ledger_writes_total", Help: "Changes written to the ledger of slot counters."}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{Name: "plimsoll_agent_ledger_write_failures_total", Help: "Changes that could not be written to the ledger: counters may step back when the agent is restarted."}),
	}}
	if reg != nil {
		for _, c := range []prometheus.Collector{l.metrics.damaged, l.metrics.writes, l.metrics.failures} {
			if err := reg.Register(c); err != nil {
				return nil, fmt.Errorf("register ledger metrics: %w", err)
			}
		}
	}
	err := l.acquire()
	if err == nil || refused(err) {
		err = errors.Join(err, l.load())
	}
	if err == nil {
		err = l.rewrite()
	}
	switch {
	case err == nil:
	case refused(err):
		l.failed = true
		l.metrics.failures.Inc()
		l.log.Error("the ledger of slot counters can not be written, changes stay in memory", "file", path, "error", err)
	default:
		l.unlock()
		return nil, err
	}
	return l, nil
}

// refused tells whether err means that the disk takes nothing now and may later.
func refused(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EROFS) || errors.Is(err, unix.EIO)
}

func (l *Ledger) acquire() (err error) {
	if err := os.MkdirAll(filepath.Dir(l.path), 0o700); err != nil {
		return fmt.Errorf("make ledger's directory: %w", err)
	}
	l.lock, err = os.OpenFile(l.path+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if errors.Is(err, unix.EROFS) {
		l.lock, err = os.Open(l.path + ".lock")
		if errors.Is(err, fs.ErrNotExist) {
			err = unix.EROFS // nobody can write here
		}
	}
	if err != nil {
		return fmt.Errorf("lock ledger: %w", err)
	}
	if err := unix.Flock(int(l.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		pid := make([]byte, 20)
		n, _ := l.lock.ReadAt(pid, 0)
		l.unlock()
		return fmt.Errorf("lock ledger %s: another agent uses it, process %s: stop it, or give this agent its own --data-dir: %w", l.path, cmp.Or(string(pid[:n]), "unknown"), err)
	}
	if l.lock.Truncate(0) == nil { // for the other agent's message
		_, _ = l.lock.WriteAt(strconv.AppendInt(nil, int64(os.Getpid()), 10), 0)
	}
	return nil
}

func (l *Ledger) unlock() {
	if l.lock != nil {
		l.lock.Close()
		l.lock = nil
	}
}

func (l *Ledger) load() error {
	f, err := os.Open(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, maxLine)
	first, err := r.ReadSlice('\n')
	if err != nil || string(first) != head {
		aside := l.path + ".damaged"
		l.metrics.damaged.Inc()
		l.log.Warn("the ledger of slot counters is damaged, they begin anew", "file", l.path, "set_aside_as", aside)
		if err := os.Rename(l.path, aside); err != nil {
			return fmt.Errorf("set damaged ledger aside: %w", err)
		}
		return nil
	}
	damaged := 0
	for {
		line, err := r.ReadSlice('\n')
		if err == nil && l.take(line) {
			continue
		}
		if len(line) > 0 {
			damaged++
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			if !errors.Is(err, io.EOF) {
				return fmt.Errorf("read ledger %s: %w", l.path, err)
			}
			break
		}
	}
	if damaged > 0 {
		l.metrics.damaged.Add(float64(damaged))
		l.log.Warn("lines of the ledger of slot counters are damaged and left out", "file", l.path, "lines", damaged)
	}
	return nil
}

type entry struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value,omitempty"`
}

// take reads one line into values; false for a damaged one.
func (l *Ledger) take(line []byte) bool {
	sum, text, ok := bytes.Cut(bytes.TrimSuffix(line, []byte("\n")), []byte(" "))
	want, err := strconv.ParseUint(string(sum), 16, 32)
	if !ok || err != nil || uint32(want) != crc32.ChecksumIEEE(text) {
		return false
	}
	var e entry
	if json.Unmarshal(text, &e) != nil || e.Key == "" {
		return false
	}
	if e.Value == nil {
		delete(l.values, e.Key)
	} else {
		l.values[e.Key] = e.Value
	}
	return true
}

// All yields what is kept, in no order.
func (l *Ledger) All() iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for key, value := range l.values {
			if !yield(key, value) {
				return
			}
		}
	}
}

// Put keeps value, which is JSON, under key and does not keep the slice. What can not be written is counted, and kept in memory.
func (l *Ledger) Put(key string, value []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if bytes.Equal(l.values[key], value) {
		return
	}
	l.values[key] = bytes.Clone(value)
	l.write(entry{key, value})
}

// Delete forgets key.
func (l *Ledger) Delete(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.values[key]; known {
		delete(l.values, key)
		l.write(entry{Key: key})
	}
}

func (l *Ledger) write(e entry) {
	if err := l.append(e); err != nil {
		l.metrics.failures.Inc()
		if !l.failed {
			l.log.Error("write ledger of slot counters", "error", err)
		}
		l.failed = true
		if l.file != nil { // half a line may be at its end
			l.file.Close()
			l.file = nil
		}
		return
	}
	l.failed, l.dirty = false, true
	l.metrics.writes.Inc()
}

func (l *Ledger) append(e entry) error {
	if l.file == nil || l.lines > 2*len(l.values)+slack {
		return l.rewrite() // with e in it
	}
	line, err := encode(nil, e)
	if err != nil {
		return err
	}
	l.lines++
	if _, err := l.file.Write(line); err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	return nil
}

func encode(dst []byte, e entry) ([]byte, error) {
	text, err := json.Marshal(e)
	if err != nil {
		return dst, fmt.Errorf("encode %s for the ledger: %w", e.Key, err)
	}
	if len(text) > maxLine-16 {
		return dst, fmt.Errorf("encode %s for the ledger: %d bytes are too many", e.Key, len(text))
	}
	return fmt.Appendf(dst, "%08x %s\n", crc32.ChecksumIEEE(text), text), nil
}

// rewrite replaces the file by one with a line for each key.
func (l *Ledger) rewrite() error {
	if l.file != nil {
		l.file.Close()
		l.file = nil
	}
	if l.lock == nil { // the disk refused it at the opening
		if err := l.acquire(); err != nil {
			return err
		}
	}
	text := []byte(head)
	for key, value := range l.values {
		next, err := encode(text, entry{key, value})
		if err != nil {
			delete(l.values, key)
			l.metrics.failures.Inc()
			l.log.Error("leave out of ledger", "error", err)
			continue
		}
		text = next
	}
	f, err := os.OpenFile(l.path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("write ledger: %w", err)
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(l.path+".new", l.path)
	}
	if err != nil {
		f.Close()
		return fmt.Errorf("write ledger: %w", err)
	}
	l.file, l.lines = f, len(l.values)
	return nil
}

// Sync makes what was written outlive the machine.
func (l *Ledger) Sync() {
	l.mu.Lock()
	f, dirty := l.file, l.dirty
	l.dirty = false
	l.mu.Unlock()
	if f == nil || !dirty {
		return
	}
	if err := f.Sync(); err != nil && !errors.Is(err, os.ErrClosed) { // closed: rewritten meanwhile, and synced
		l.metrics.failures.Inc()
	}
}

// Close syncs and gives the file back.
func (l *Ledger) Close() {
	l.Sync()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		l.file.Close()
		l.file = nil
	}
	l.unlock()
}
