// Package robot posts notifications to group robots of DingTalk, WeCom and Feishu (Lark): signed, within the length and the
// rate each vendor allows, and failed when the answer says so, which all three do with HTTP 200.
//
// A robot takes 20 messages a minute. What comes faster is put together: nothing that fires is left out.
package robot

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/alertmanager/alert"
	"github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/alertmanager/template"
	"golang.org/x/time/rate"
)

// Kind names a vendor.
type Kind string

// The vendors.
const (
	DingTalk Kind = "dingtalk"
	WeCom    Kind = "wecom"
	Feishu   Kind = "feishu"
)

// Config is one robot. Secrets are read from their files for every message, so that they can be changed any time.
type Config struct {
	Kind Kind
	// URLFile holds the webhook address, which contains the robot's token.
	URLFile string
	// SecretFile holds the key that signs messages. Empty: unsigned; WeCom has none.
	SecretFile string
	// Mention lists, separated by commas, who is called by name when something critical fires: mobile numbers for
	// DingTalk, user ids for WeCom and open ids for Feishu.
	Mention string
}

// dialect is what differs between the vendors.
type dialect interface {
	// limitBytes bounds the text of a message.
	limitBytes() int
	// request is the address and the body of a message.
	request(to address, m message, now time.Time) (url string, body any)
	// verdict reads the answer: retry says whether the same message may be taken later.
	verdict(answer []byte) (retry bool, err error)
}

// address is what the files of a Config hold.
type address struct {
	url     *url.URL
	secret  string
	mention []string
}

// Robots are the robots in use. One robot serves all receivers that name it, over reloads too, so that they share its rate.
type Robots struct {
	client *http.Client
	log    *slog.Logger

	mu    sync.Mutex
	known map[Config]*robot
}

// New makes the set; nothing is sent before a Notifier is asked to.
func New(log *slog.Logger) *Robots {
	return &Robots{client: &http.Client{Timeout: requestTimeout}, log: log, known: map[Config]*robot{}}
}

const (
	requestTimeout = 10 * time.Second
	// A burst of ten and one each six seconds are at most 20 in any minute, the limit of DingTalk and WeCom, and nothing waits
	// longer than six seconds. Feishu takes 100 in a minute, but 5 in a second.
	burst       = 10
	burstFeishu = 4
	spacing     = 6 * time.Second
)

// Notifier sends to the robot cfg describes with the words of tmpl, see Templates.
func (r *Robots) Notifier(cfg Config, tmpl *template.Template) (notify.Notifier, error) {
	var d dialect
	atOnce := burst
	switch cfg.Kind {
	case DingTalk:
		d = dingTalk{}
	case WeCom:
		d = weCom{}
	case Feishu:
		d, atOnce = feishu{}, burstFeishu
	default:
		return nil, fmt.Errorf("robot: unknown kind %q", cfg.Kind)
	}
	if _, err := cfg.read(); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known[cfg] == nil {
		r.known[cfg] = &robot{cfg: cfg, dialect: d, client: r.client, pace: rate.NewLimiter(rate.Every(spacing), atOnce)}
	}
	return &notifier{robot: r.known[cfg], tmpl: tmpl, log: r.log}, nil
}

func (cfg Config) read() (address, error) {
	text, err := secret(cfg.URLFile)
	if err != nil {
		return address{}, err
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return address{}, fmt.Errorf("%s does not hold an http or https URL", cfg.URLFile)
	}
	to := address{url: u}
	if cfg.SecretFile != "" {
		if to.secret, err = secret(cfg.SecretFile); err != nil {
			return address{}, err
		}
	}
	if cfg.Mention != "" {
		to.mention = strings.Split(cfg.Mention, ",")
	}
	return to, nil
}

func secret(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	if trimmed := strings.TrimSpace(string(text)); trimmed != "" {
		return trimmed, nil
	}
	return "", fmt.Errorf("%s is empty", file)
}

// notifier is a robot with the words for it.
type notifier struct {
	robot *robot
	tmpl  *template.Template
	log   *slog.Logger
}

// Notify implements Alertmanager's notify.Notifier.
func (n *notifier) Notify(ctx context.Context, alerts ...*alert.Alert) (bool, error) {
	g, err := render(n.tmpl, notify.GetTemplateData(ctx, n.tmpl, alerts, n.log))
	if err != nil {
		return false, err
	}
	return n.robot.send(ctx, g)
}
