package robot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/alertmanager/notify"
	"golang.org/x/time/rate"
)

// robot sends one message at a time. Groups that come while it waits for its rate join what it sends next.
type robot struct {
	cfg     Config
	dialect dialect
	client  *http.Client
	pace    *rate.Limiter

	mu      sync.Mutex
	waiting *batch
}

// batch is what one caller, its first, sends for all; the others wait for the outcome.
type batch struct {
	groups []group
	done   chan struct{}
	retry  bool
	err    error
}

func (r *robot) send(ctx context.Context, g group) (bool, error) {
	r.mu.Lock()
	b := r.waiting
	first := b == nil
	if first {
		b = &batch{done: make(chan struct{})}
		r.waiting = b
	}
	b.groups = append(b.groups, g)
	r.mu.Unlock()

	if !first {
		select {
		case <-b.done:
			return b.retry, b.err
		case <-ctx.Done():
			return true, ctx.Err()
		}
	}
	err := r.pace.Wait(ctx)
	r.mu.Lock()
	r.waiting = nil // whoever comes now is too late for this one
	r.mu.Unlock()
	if err != nil {
		b.retry, b.err = true, notify.NewErrorWithReason(notify.RateLimitedReason, fmt.Errorf("%s: more messages than the robot takes: %w", r.cfg.Kind, err))
	} else {
		b.retry, b.err = r.post(ctx, b.groups)
	}
	close(b.done)
	return b.retry, b.err
}

// post sends the messages that hold all groups. The first was waited for; each further one waits too.
func (r *robot) post(ctx context.Context, groups []group) (bool, error) {
	to, err := r.cfg.read()
	if err != nil {
		return true, fmt.Errorf("%s: %w", r.cfg.Kind, err) // the file may be back for the next try
	}
	for i, m := range pack(groups, r.dialect.limitBytes()) {
		if i > 0 {
			if err := r.pace.Wait(ctx); err != nil {
				return true, fmt.Errorf("%s: %w", r.cfg.Kind, err)
			}
		}
		if retry, err := r.postOne(ctx, to, m); err != nil {
			return retry, fmt.Errorf("%s: %w", r.cfg.Kind, err)
		}
	}
	return false, nil
}

// mostAnswerBytes bounds what is read of an answer.
const mostAnswerBytes = 64 << 10

func (r *robot) postOne(ctx context.Context, to address, m message) (bool, error) {
	url, body := r.dialect.request(to, m, time.Now())
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // \u003c would count six bytes of a message for one
	if err := encoder.Encode(body); err != nil {
		return false, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, &text)
	if err != nil {
		return false, errors.New("the URL in the file cannot be used")
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	resp, err := r.client.Do(req)
	if err != nil {
		return true, notify.RedactURL(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswerBytes))
	if err != nil {
		return true, fmt.Errorf("read the answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		retry := resp.StatusCode/100 == 5 || resp.StatusCode == http.StatusTooManyRequests
		var limited *notify.ErrorWithReason
		if _, fault := r.dialect.verdict(answer); errors.As(fault, &limited) && limited.Reason == notify.RateLimitedReason {
			retry = true // Feishu's gateway says so with 400 too
		}
		return retry, notify.NewErrorWithReason(notify.GetFailureReasonFromStatusCode(resp.StatusCode), fmt.Errorf("%s: %.200s", resp.Status, answer))
	}
	return r.dialect.verdict(answer)
}
