package robot

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/notify"
)

// dingTalk is https://open.dingtalk.com/document/orgapp/custom-robot-access (before: /document/group/custom-robot-access): markdown,
// signed in the address with HMAC-SHA256 of "timestamp\nsecret" under the secret, milliseconds, an hour's clock difference at most.
// 20 messages a minute; a robot that sends more is heard again after ten minutes.
type dingTalk struct{}

func (dingTalk) limitBytes() int { return 18_000 } // 20,000 with the rest of the body

func (dingTalk) request(to address, m message, now time.Time) (string, any) {
	type markdown struct {
		Title string `json:"title"`
		Text  string `json:"text"`
	}
	type at struct {
		AtMobiles []string `json:"atMobiles"`
		IsAtAll   bool     `json:"isAtAll"`
	}
	body := struct {
		Type     string   `json:"msgtype"`
		Markdown markdown `json:"markdown"`
		At       at       `json:"at"`
	}{Type: "markdown", Markdown: markdown{Title: m.title, Text: "### " + m.title + "\n\n" + hardBreaks(m.text)}, At: at{AtMobiles: []string{}}}
	if m.critical {
		for _, mobile := range to.mention { // named in the text too, else the client does not mark them
			body.At.AtMobiles = append(body.At.AtMobiles, mobile)
			body.Markdown.Text += " @" + mobile
		}
	}
	u := *to.url
	if to.secret != "" {
		stamp := strconv.FormatInt(now.UnixMilli(), 10)
		query := u.Query()
		query.Set("timestamp", stamp)
		query.Set("sign", sign(to.secret, stamp+"\n"+to.secret))
		u.RawQuery = query.Encode()
	}
	return u.String(), body
}

// hardBreaks ends lines with two spaces: DingTalk joins them otherwise.
func hardBreaks(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "\n", "  \n"), "  \n  \n", "\n\n")
}

// 130101: more than 20 a minute; -1: the service is busy. The others (310000: signature or key word, 300001: token) stay wrong.
func (dingTalk) verdict(answer []byte) (bool, error) { return errcode(answer, -1, 130101, 130102) }

// weCom is https://developer.work.weixin.qq.com/document/path/91770 (before: https://work.weixin.qq.com/api/doc/90000/90136/91770): a
// subset of markdown, 4096 bytes, unsigned; <@userid> in the text calls a member. 20 messages a minute.
type weCom struct{}

func (weCom) limitBytes() int { return 4096 }

func (weCom) request(to address, m message, _ time.Time) (string, any) {
	type markdown struct {
		Content string `json:"content"`
	}
	text := "### " + m.title + "\n" + m.text
	if m.critical {
		for _, user := range to.mention {
			text += "<@" + user + ">"
		}
	}
	return to.url.String(), struct {
		Type     string   `json:"msgtype"`
		Markdown markdown `json:"markdown"`
	}{"markdown", markdown{cut(text, 4096)}}
}

// 45009: more than 20 a minute; -1: the service is busy. The others (93000: address, 40058: content) stay wrong.
func (weCom) verdict(answer []byte) (bool, error) { return errcode(answer, -1, 45009) }

// feishu is https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot: a card, signed in the body with HMAC-SHA256 of nothing under
// "timestamp\nsecret", seconds, an hour's clock difference at most; <at id=ou_…></at> in its markdown calls a member. 100 messages a
// minute and 5 a second, 20 KB each.
type feishu struct{}

func (feishu) limitBytes() int { return 18_000 } // 20 KB with the rest of the body

func (feishu) request(to address, m message, now time.Time) (string, any) {
	type text struct {
		Tag     string `json:"tag"`
		Content string `json:"content"`
	}
	type header struct {
		Title    text   `json:"title"`
		Template string `json:"template"`
	}
	type config struct {
		WideScreen bool `json:"wide_screen_mode"`
	}
	type card struct {
		Config   config `json:"config"`
		Header   header `json:"header"`
		Elements []text `json:"elements"`
	}
	colour := "green"
	if m.critical {
		colour = "red"
		for _, user := range to.mention {
			m.text += "<at id=" + user + "></at>"
		}
	} else if m.firing {
		colour = "orange"
	}
	body := struct {
		Timestamp string `json:"timestamp,omitempty"`
		Sign      string `json:"sign,omitempty"`
		Type      string `json:"msg_type"`
		Card      card   `json:"card"`
	}{Type: "interactive", Card: card{
		Config: config{true}, Header: header{Title: text{"plain_text", m.title}, Template: colour},
		Elements: []text{{"markdown", m.text}},
	}}
	if to.secret != "" {
		body.Timestamp = strconv.FormatInt(now.Unix(), 10)
		body.Sign = sign(body.Timestamp+"\n"+to.secret, "") // the key is what is signed, and what is signed is empty
	}
	return to.url.String(), body
}

// 9499 and 11232: too many; 19021: the signature or the clock, 19022 and 19024: not allowed: these stay wrong.
func (feishu) verdict(answer []byte) (bool, error) {
	var a struct {
		Code *int   `json:"code"`
		Msg  string `json:"msg"`
	}
	if err := json.Unmarshal(answer, &a); err != nil || a.Code == nil {
		return true, fmt.Errorf("not an answer of a robot: %.200q", answer)
	}
	return judge(*a.Code, a.Msg, 9499, 11232)
}

func errcode(answer []byte, later ...int) (bool, error) {
	var a struct {
		Code *int   `json:"errcode"`
		Msg  string `json:"errmsg"`
	}
	if err := json.Unmarshal(answer, &a); err != nil || a.Code == nil {
		return true, fmt.Errorf("not an answer of a robot: %.200q", answer)
	}
	return judge(*a.Code, a.Msg, later...)
}

func judge(code int, words string, later ...int) (bool, error) {
	if code == 0 {
		return false, nil
	}
	err := fmt.Errorf("refused with code %d: %.200s", code, words)
	if slices.Contains(later, code) {
		return true, notify.NewErrorWithReason(notify.RateLimitedReason, err)
	}
	return false, notify.NewErrorWithReason(notify.ClientErrorReason, err)
}

func sign(key, text string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
