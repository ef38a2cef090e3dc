package notify

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// durable keeps a state of Alertmanager on disk at every moment. Its snapshots are sequences of records in which a later
// record of the same key wins, so a change is made durable by one more record at the end of the file.
type durable struct {
	name     string
	snapshot func(io.Writer) (int64, error)
	failed   prometheus.Counter

	mu    sync.Mutex
	file  *os.File
	fault error    // why the last change is not on disk; the next snapshot makes good for it
	since [][]byte // while a snapshot is being written: the changes it may lack
	busy  bool
}

// openDurable continues the file of the given name. What a crash left of a record at its end must have been cut by mend.
func openDurable(name string, snapshot func(io.Writer) (int64, error), failed prometheus.Counter) (*durable, error) {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, fmt.Errorf("notify: %w", err)
	}
	return &durable{name: name, snapshot: snapshot, failed: failed, file: file}, nil
}

// append is told of every change, with the state locked, and returns when the record is on disk.
func (d *durable) append(record []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.busy {
		d.since = append(d.since, bytes.Clone(record))
	}
	if d.fault != nil {
		d.failed.Inc() // a record after half a one would be lost with it
		return
	}
	if _, d.fault = d.file.Write(record); d.fault == nil {
		d.fault = d.file.Sync()
	}
	if d.fault != nil {
		d.failed.Inc()
	}
}

// compact replaces the file by a snapshot and the changes made meanwhile.
func (d *durable) compact() (int64, error) {
	d.mu.Lock()
	d.busy, d.since = true, nil
	d.mu.Unlock()

	size, file, err := d.write() // the state locks itself: d must not be locked here

	d.mu.Lock()
	defer d.mu.Unlock()
	d.busy = false
	if err == nil {
		for _, record := range d.since {
			_, fault := file.Write(record)
			err = errors.Join(err, fault)
		}
		err = errors.Join(err, file.Sync())
		if err == nil {
			err = os.Rename(file.Name(), d.name)
		}
	}
	d.since = nil
	if err != nil {
		if file != nil {
			file.Close()
		}
		return 0, fmt.Errorf("notify: write %s: %w", d.name, err)
	}
	d.file.Close()
	d.file, d.fault = file, nil
	return size, nil
}

func (d *durable) write() (int64, *os.File, error) {
	file, err := os.OpenFile(d.name+".new", os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return 0, nil, err
	}
	size, err := d.snapshot(file)
	return size, file, err
}

func (d *durable) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.file.Close()
}

// mend cuts what a crash left of a record at the end of a file: a length and then fewer bytes than that.
func mend(name string) error {
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	in := bufio.NewReader(file)
	for whole := int64(0); ; {
		length, err := binary.ReadUvarint(in)
		if err == io.EOF {
			return nil
		}
		end := whole + int64(len(binary.AppendUvarint(nil, length))) + int64(length)
		if err != nil || length > uint64(info.Size()) || end > info.Size() {
			return file.Truncate(whole)
		}
		if _, err := in.Discard(int(length)); err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		whole = end
	}
}
