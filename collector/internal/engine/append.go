package engine

import (
	"fmt"

	"github.com/VictoriaMetrics/VictoriaMetrics/app/vmstorage"
	"github.com/VictoriaMetrics/VictoriaMetrics/lib/prompb"
	"github.com/VictoriaMetrics/VictoriaMetrics/lib/storage"
	"github.com/VictoriaMetrics/VictoriaMetrics/lib/storage/metricsmetadata"
)

// MaxSeriesLabelBytes is the most bytes that names and values of one series may have together. The index keeps a series'
// labels in one item of at most 64 KiB and drops a longer one without a word; the samples would never be found again.
const MaxSeriesLabelBytes = 32 << 10

// rowsPerBlock bounds the rows handed to the storage at once, and so the memory they take beside the request.
const rowsPerBlock = 8000

// rowBuffer is what one Append needs, reused.
type rowBuffer struct {
	rows   []storage.MetricRow
	labels []prompb.Label
	names  []byte
}

// Append stores the samples, stale markers included. Labels may come in any order; empty ones do not count. It keeps
// nothing of tss. The samples are on disk after some 8 s; a kill before that loses them. Mark tells for sure.
//
// ErrReadOnly and ErrClosed are worth a later try of the same samples, ErrLabels is not. On an error some of the samples
// may be stored.
func (e *Engine) Append(tss []prompb.TimeSeries) error {
	if err := e.enter(); err != nil {
		return err
	}
	defer e.leave()
	buf := e.scratch.Get().(*rowBuffer)
	defer e.release(buf)
	for i := range tss {
		if err := checkLabels(tss[i].Labels); err != nil {
			return err
		}
		name := buf.appendName(tss[i].Labels)
		for _, s := range tss[i].Samples {
			buf.rows = append(buf.rows, storage.MetricRow{MetricNameRaw: name, Timestamp: s.Timestamp, Value: s.Value})
			if len(buf.rows) < rowsPerBlock {
				continue
			}
			if err := e.write(buf); err != nil {
				return e.readOnly()
			}
		}
	}
	if e.write(buf) != nil {
		return e.readOnly()
	}
	return nil
}

// readOnly is the one error of the storage.
func (e *Engine) readOnly() error {
	return fmt.Errorf("%w: less than %d bytes of disk are free at %s (--limit.free-disk)", ErrReadOnly, e.cfg.MinFreeDiskBytes, e.cfg.DataDir)
}

// ReadOnly tells whether samples are refused for want of free disk.
func (e *Engine) ReadOnly() bool {
	if e.enter() != nil {
		return false
	}
	defer e.leave()
	return vmstorage.VMInsertAPI.IsReadOnly()
}

// appendName encodes labels behind the names of the block. The library's encoder empties the name of __name__ in what
// it is given, hence the copy.
func (b *rowBuffer) appendName(labels []prompb.Label) []byte {
	b.labels = append(b.labels[:0], labels...)
	start := len(b.names)
	b.names = storage.MarshalMetricNameRaw(b.names, b.labels)
	return b.names[start:len(b.names):len(b.names)]
}

// write hands the block to the storage. The bytes of the names are only reused after release, as a series may span blocks.
func (e *Engine) write(b *rowBuffer) error {
	if len(b.rows) == 0 {
		return nil
	}
	e.rows.Add(uint64(len(b.rows)))
	err := vmstorage.VMInsertAPI.WriteRows(b.rows)
	b.rows = b.rows[:0]
	return err
}

func (e *Engine) release(b *rowBuffer) {
	const keepBytes = 4 << 20
	clear(b.labels[:cap(b.labels)])
	clear(b.rows[:cap(b.rows)])
	b.labels, b.rows, b.names = b.labels[:0], b.rows[:0], b.names[:0]
	if cap(b.names) <= keepBytes {
		e.scratch.Put(b)
	}
}

func checkLabels(labels []prompb.Label) error {
	total := 0
	for _, l := range labels {
		total += len(l.Name) + len(l.Value)
	}
	if total > MaxSeriesLabelBytes {
		return fmt.Errorf("%w: %d bytes of labels, the most is %d", ErrLabels, total, MaxSeriesLabelBytes)
	}
	return nil
}

// AppendMetadata keeps type, unit and help of metrics for /api/v1/metadata, in memory, the newest first to stay.
func (e *Engine) AppendMetadata(metadata []prompb.MetricMetadata) error {
	if err := e.enter(); err != nil {
		return err
	}
	defer e.leave()
	rows := make([]metricsmetadata.Row, 0, len(metadata))
	for _, m := range metadata {
		rows = append(rows, metricsmetadata.Row{MetricFamilyName: []byte(m.MetricFamilyName), Help: []byte(m.Help), Unit: []byte(m.Unit), Type: m.Type})
	}
	if vmstorage.VMInsertAPI.WriteMetadata(rows) != nil {
		return e.readOnly()
	}
	return nil
}
