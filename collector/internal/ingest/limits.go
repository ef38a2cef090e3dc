package ingest

import (
	"fmt"
	"time"
)

// Limits of what is accepted. The zero value of a field means its default.
type Limits struct {
	// BodyBytes bounds a request as sent. Default 32 MiB: some 300,000 samples.
	BodyBytes int64
	// DecodedBytes bounds it decompressed, checked in the header before memory is taken. Default 64 MiB.
	DecodedBytes int64
	// Series bounds the series of one request. Default 200,000.
	Series int
	// Concurrency bounds the requests served at once; more get 429. Default 64.
	Concurrency int
	// Refused bounds the messages of one caller that are refused as too large or as none at once; one more is allowed each second. Past it only
	// light ones are taken. Default 20.
	Refused int
	// Labels bounds the labels of a series, __name__ included. Default 60.
	Labels int
	// NameBytes and ValueBytes bound a label's name and value. Defaults 256 and 4096.
	NameBytes, ValueBytes int
	// Future is how far a timestamp may lie ahead of our clock. Default 10 minutes.
	Future time.Duration
	// Retention is how far back it may lie: older samples would not be kept. Default 90 days; give the engine's.
	Retention time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// decodedCostFactor bounds the memory a message takes once decoded, in multiples of DecodedBytes, and plainCostFactor what of that is no histogram,
// in multiples of the message's own bytes beyond plainCostBytes. Ordinary messages take one to two times their bytes, one of labels of a single letter
// four times, one made of empty series or labels 16 times and more.
const (
	decodedCostFactor = 4
	plainCostFactor   = 5
	plainCostBytes    = 1 << 20
)

func (l Limits) withDefaults() Limits {
	fill(&l.BodyBytes, 32<<20)
	fill(&l.DecodedBytes, 64<<20)
	fill(&l.Series, 200_000)
	fill(&l.Concurrency, 64)
	fill(&l.Refused, 20)
	fill(&l.Labels, 60)
	fill(&l.NameBytes, 256)
	fill(&l.ValueBytes, 4096)
	fill(&l.Future, 10*time.Minute)
	fill(&l.Retention, 90*24*time.Hour)
	if l.Now == nil {
		l.Now = time.Now
	}
	return l
}

func fill[T int | int64 | time.Duration](v *T, to T) {
	if *v == 0 {
		*v = to
	}
}

// Check says what New would say of the limits.
func (l Limits) Check() error { return l.withDefaults().validate() }

func (l Limits) validate() error {
	within := func(what string, v, least, most int64) error {
		if v < least || v > most {
			return fmt.Errorf("--limit.%s=%d is outside %d to %d", what, v, least, most)
		}
		return nil
	}
	for _, err := range []error{
		within("write-body", l.BodyBytes, 1<<10, 1<<30),
		within("write-decoded", l.DecodedBytes, 1<<10, 4<<30),
		within("write-series", int64(l.Series), 1, 100_000_000),
		within("write-concurrency", int64(l.Concurrency), 1, 10_000),
		within("write-refused", int64(l.Refused), 1, 1_000_000),
		within("labels", int64(l.Labels), 1, 1000),
		within("label-name", int64(l.NameBytes), 1, 32<<10),
		within("label-value", int64(l.ValueBytes), 1, 32<<10),
	} {
		if err != nil {
			return err
		}
	}
	// The engine drops what lies more than two days ahead.
	if l.Future < time.Second || l.Future > 48*time.Hour {
		return fmt.Errorf("--limit.future=%s is outside 1s to 48h", l.Future)
	}
	return nil
}
