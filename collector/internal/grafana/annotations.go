package grafana

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/grafana/grafana-openapi-client-go/client/annotations"
	"github.com/grafana/grafana-openapi-client-go/models"

	"github.com/plimsoll/plimsoll/collector/internal/grafana/moments"
)

// MomentsFunc gives what happened between two times.
type MomentsFunc func(ctx context.Context, from, to time.Time) ([]moments.Moment, error)

const (
	// mostPosts bounds what one round posts; the rest comes with the next ones.
	mostPosts = 50
	// mostLookback bounds how far back a collector that was away, or whose Grafana was, tells of.
	mostLookback = 24 * time.Hour
	// settle is how long the figures of an agent may be late: the last minutes are looked at again in every round.
	settle = 10 * time.Minute
	// annotateEvery is the pause between rounds.
	annotateEvery = time.Minute

	targetAnnotations = "annotations"
)

// Annotate posts what happens to Grafana until ctx ends, each moment once: a moment that Grafana has, by this collector or
// another one, is known by its tag. A Grafana that is away is told later, up to a day.
func (p *Publisher) Annotate(ctx context.Context) error {
	if p.cfg.Moments == nil || p.cfg.AnnotationsFile == "" || p.cfg.ReadOnly {
		<-ctx.Done()
		return nil
	}
	s := schedule{interval: annotateEvery, jitter: func() float64 { return 0.5 }}
	said := ""
	for {
		posted, err := p.annotate(ctx, time.Now())
		if ctx.Err() != nil {
			return nil
		}
		p.metrics.annotated(posted, err)
		if err != nil && err.Error() != said {
			p.log.Warn("annotations wait", "error", err)
		}
		if said = ""; err != nil {
			said = err.Error()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(s.next(err == nil)):
		}
	}
}

// annotate makes one round up to now and says how many were posted, by kind.
func (p *Publisher) annotate(ctx context.Context, now time.Time) (map[moments.Kind]int, error) {
	posted := map[moments.Kind]int{}
	state, err := readDiary(p.cfg.AnnotationsFile)
	if err != nil {
		return posted, err
	}
	if state.Until.IsZero() { // what happened before there was a diary is nobody's business
		state.Until = now
		return posted, state.write(p.cfg.AnnotationsFile)
	}
	from := state.Until.Add(-settle)
	if oldest := now.Add(-mostLookback); from.Before(oldest) {
		from = oldest
	}
	found, err := p.cfg.Moments(ctx, from, now)
	if err != nil {
		return posted, err
	}
	var api *client
	for _, m := range found {
		entry := state.find(m)
		if entry == nil && m.Start.IsZero() || entry != nil && (m.End.IsZero() || entry.Ended) {
			continue
		}
		if api == nil {
			if api, err = p.connect(ctx); err != nil {
				return posted, err
			}
		}
		if entry != nil {
			if err := api.endAnnotation(ctx, entry.ID, m.End); err != nil {
				return posted, err
			}
			entry.Ended = true
		} else {
			id, fresh, err := api.annotateOnce(ctx, m)
			if err != nil {
				return posted, err
			}
			if fresh {
				posted[m.Kind]++
			}
			state.Entries = append(state.Entries, diaryEntry{Key: m.Key(), Start: m.Start, ID: id, Ended: !m.GoesOn})
		}
		if err := state.write(p.cfg.AnnotationsFile); err != nil {
			return posted, err
		}
		if sum(posted) >= mostPosts {
			return posted, nil // Until stays: the next round goes on here
		}
	}
	state.Until = now
	state.forget(now.Add(-mostLookback - settle))
	return posted, state.write(p.cfg.AnnotationsFile)
}

func sum(counts map[moments.Kind]int) int {
	all := 0
	for _, n := range counts {
		all += n
	}
	return all
}

func keyTag(m moments.Moment) string { return "key:" + m.Key() }

// tagsOf are what an annotation can be filtered by in Grafana.
func tagsOf(m moments.Moment) []string {
	tags := []string{ownTag, string(m.Kind), keyTag(m)}
	for _, l := range m.Labels {
		if l.Value != "" && l.Name != "image" {
			tags = append(tags, l.Name+":"+l.Value)
		}
	}
	return tags
}

// annotateOnce posts a moment unless Grafana has it. Two collectors may both find that it has not, and both post: then both
// see two, and the one with the higher number takes its own back.
func (c *client) annotateOnce(ctx context.Context, m moments.Moment) (id int64, fresh bool, err error) {
	there, err := c.annotationsOf(ctx, m)
	if err != nil {
		return 0, false, err
	}
	if len(there) > 0 {
		return there[0], false, nil
	}
	text := m.Text
	command := &models.PostAnnotationsCmd{Time: m.Start.UnixMilli(), Tags: tagsOf(m), Text: &text}
	if !m.End.IsZero() {
		command.TimeEnd = m.End.UnixMilli()
	}
	made, err := c.Annotations.PostAnnotationWithParams(annotations.NewPostAnnotationParamsWithContext(ctx).WithBody(command))
	if err != nil {
		return 0, false, c.explain("post an annotation", err)
	}
	if made.Payload.ID == nil {
		return 0, false, errors.New("post an annotation: Grafana gives it no id")
	}
	if there, err = c.annotationsOf(ctx, m); err != nil {
		return 0, false, err
	}
	if len(there) == 0 || there[0] == *made.Payload.ID {
		return *made.Payload.ID, true, nil
	}
	_, err = c.Annotations.DeleteAnnotationByIDWithParams(annotations.NewDeleteAnnotationByIDParamsWithContext(ctx).WithAnnotationID(fmt.Sprint(*made.Payload.ID)))
	if err != nil && statusOf(err) != http.StatusNotFound {
		return 0, false, c.explain("take back an annotation that another collector has posted", err)
	}
	return there[0], false, nil
}

// annotationsOf are the ids of the annotations of a moment, the lowest first.
func (c *client) annotationsOf(ctx context.Context, m moments.Moment) ([]int64, error) {
	from, to, limit := m.Start.Add(-moments.Together).UnixMilli(), m.Start.Add(moments.Together).UnixMilli(), int64(100)
	found, err := c.Annotations.GetAnnotations(annotations.NewGetAnnotationsParamsWithContext(ctx).
		WithTags([]string{ownTag, keyTag(m)}).WithFrom(&from).WithTo(&to).WithLimit(&limit))
	if err != nil {
		return nil, c.explain("look for an annotation", err)
	}
	var ids []int64
	for _, a := range found.Payload {
		// Grafana also gives what began earlier and reaches into the time.
		if a.Time >= from && a.Time <= to && slices.Contains(a.Tags, keyTag(m)) {
			ids = append(ids, a.ID)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// endAnnotation gives an annotation its end. One that a person deleted stays deleted.
func (c *client) endAnnotation(ctx context.Context, id int64, end time.Time) error {
	_, err := c.Annotations.PatchAnnotationWithParams(annotations.NewPatchAnnotationParamsWithContext(ctx).
		WithAnnotationID(fmt.Sprint(id)).WithBody(&models.PatchAnnotationsCmd{TimeEnd: end.UnixMilli()}))
	if err != nil && statusOf(err) != http.StatusNotFound {
		return c.explain("give an annotation its end", err)
	}
	return nil
}
