package presence

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// sender is an agent that sends a round every 15 s over a connection of its own.
type sender struct {
	Agent
	conn   net.Conn
	dead   bool
	begins time.Duration // of its rounds, within the interval
	every  int           // seconds; 0 is 15
}

// fleet is a cluster of senders and the Watch under test, a second at a time.
type fleet struct {
	*Watch
	reg     *prometheus.Registry
	senders []*sender
	second  int
	changed int
}

func newFleet(n int) *fleet {
	reg := prometheus.NewRegistry()
	f := &fleet{Watch: New(Config{}, slog.New(slog.DiscardHandler), reg), reg: reg}
	for i := range n {
		f.senders = append(f.senders, &sender{Agent: Agent{IDC: "bj", Cluster: "c", Node: fmt.Sprintf("n%02d", i), Name: fmt.Sprintf("agent-%d", i)}, begins: time.Duration(i*4%15) * time.Second})
	}
	return f
}

// run lets so many seconds pass.
func (f *fleet) run(seconds int) {
	for range seconds {
		time.Sleep(time.Second)
		now := time.Now()
		var table []Agent
		for _, s := range f.senders {
			if !s.dead && f.second%cmp.Or(s.every, 15) == int(s.begins.Seconds()) {
				f.send(s, now)
			}
			if !s.Heard.IsZero() {
				table = append(table, s.Agent)
			}
		}
		if f.look(now, table) {
			f.changed++
		}
		f.second++
	}
}

// send is one round; a connection that was closed is made anew.
func (f *fleet) send(s *sender, now time.Time) {
	if s.conn == nil {
		s.conn, _ = net.Pipe()
	}
	f.State(s.conn, http.StateActive)
	f.speaks(s.Name, s.conn, false, now)
	f.State(s.conn, http.StateIdle)
	s.Heard, s.Newest = now, now
}

// hangUp closes the connection of an agent.
func (f *fleet) hangUp(s *sender) {
	f.State(s.conn, http.StateClosed)
	s.conn = nil
}

// lostAfter runs until an agent is lost and returns after how many seconds; 0 when it is not within the limit.
func (f *fleet) lostAfter(node string, how How, limit int) int {
	for i := 1; i <= limit; i++ {
		f.run(1)
		if f.lost()[node] == how {
			return i
		}
	}
	return 0
}

func (f *fleet) lost() map[string]How {
	all := map[string]How{}
	for at, s := range f.agents {
		if s.lost != "" {
			all[at.node] = s.lost
		}
	}
	return all
}

func TestAnAgentThatDiesIsLostTenSecondsLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(3)
		f.run(60)
		f.senders[0].dead = true
		f.hangUp(f.senders[0])
		if took := f.lostAfter("n00", Ended, 60); took != 10 {
			t.Fatalf("lost after %d s", took)
		}
		if err := testutil.CollectAndCompare(f, strings.NewReader(`# HELP plimsoll_collector_agent_lost 1 while this agent is lost: its process ended without a word and is not back, or its samples are overdue while others of its cluster are heard.
# TYPE plimsoll_collector_agent_lost gauge
plimsoll_collector_agent_lost{cluster="c",how="ended",idc="bj",node="n00"} 1
plimsoll_collector_agent_lost{cluster="c",how="ended",idc="bj",node="n01"} 0
plimsoll_collector_agent_lost{cluster="c",how="ended",idc="bj",node="n02"} 0
plimsoll_collector_agent_lost{cluster="c",how="silent",idc="bj",node="n00"} 0
plimsoll_collector_agent_lost{cluster="c",how="silent",idc="bj",node="n01"} 0
plimsoll_collector_agent_lost{cluster="c",how="silent",idc="bj",node="n02"} 0
`)); err != nil {
			t.Error(err)
		}
		f.run(3600)
		if f.lost()["n00"] != Ended || f.changed != 1 {
			t.Errorf("an hour later: %v, told %d times", f.lost(), f.changed)
		}
		f.senders[0].dead = false
		if f.run(15); len(f.lost()) != 0 || f.changed != 2 {
			t.Errorf("back again: %v, told %d times", f.lost(), f.changed)
		}
	})
}

func TestAnAgentThatIsStartedAgainAtOnceIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(3)
		f.run(60)
		f.hangUp(f.senders[0])
		f.run(8)
		f.send(f.senders[0], time.Now()) // its first round
		if f.run(300); f.changed != 0 {
			t.Errorf("lost %d times", f.changed)
		}
	})
}

func TestANodeThatFallsSilentIsLostWhenTwoRoundsDidNotCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(3)
		f.run(120)
		f.senders[0].dead = true // no word, no end of the connection
		began := time.Since(f.senders[0].Heard)
		took := f.lostAfter("n00", Silent, 120)
		if sinceRound := began + time.Duration(took)*time.Second; sinceRound < 35*time.Second || sinceRound > 50*time.Second {
			t.Errorf("lost %s after its last round", sinceRound)
		}
		f.run(200)
		f.hangUp(f.senders[0]) // the kernel's keep-alive gave it up
		if f.run(60); f.lost()["n00"] != Silent || f.changed != 1 {
			t.Errorf("later it is %v, told %d times", f.lost(), f.changed)
		}
		if f.run(25 * 3600); len(f.lost()) != 0 {
			t.Errorf("a day later it is still lost: %v", f.lost())
		}
	})
}

func TestAnOutageDoesNotMakeTheNextOneHarderToSee(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(3)
		f.run(120)
		f.senders[0].dead = true
		f.run(300)
		f.senders[0].dead = false
		f.run(45) // two rounds
		f.senders[0].dead = true
		began := time.Since(f.senders[0].Heard)
		took := f.lostAfter("n00", Silent, 200)
		if sinceRound := began + time.Duration(took)*time.Second; sinceRound < 35*time.Second || sinceRound > 50*time.Second {
			t.Errorf("lost %s after its last round", sinceRound)
		}
	})
}

func TestASlowAgentIsNotLostBeforeItsCadenceIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(3)
		f.senders[0].every = 60
		if f.run(600); f.changed != 0 {
			t.Errorf("lost %d times: %v", f.changed, f.lost())
		}
	})
}

func TestALostClusterIsNotManyLostAgents(t *testing.T) {
	for name, end := range map[string]func(f *fleet){
		"nothing comes any more":     func(*fleet) {},
		"all connections are closed": (*fleet).hangUpAll,
		"one a second earlier":       func(f *fleet) { f.hangUp(f.senders[3]); f.run(1); f.hangUpAll() },
		"the collector starts anew": func(f *fleet) {
			f.Watch = New(Config{}, f.log, prometheus.NewRegistry())
			f.from = time.Now().Add(settle)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(20)
				f.run(120)
				for _, s := range f.senders {
					s.dead = true
				}
				end(f)
				if f.run(3600); f.changed != 0 {
					t.Fatalf("%d times told, lost are %v", f.changed, f.lost())
				}
				for _, s := range f.senders[5:] {
					s.dead = false
				}
				if f.run(60); len(f.lost()) != 5 {
					t.Errorf("all but 5 are back, lost are %v", f.lost())
				}
			})
		})
	}
}

func TestAProxyThatStartsAnewCostsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(20)
		f.run(120)
		f.hangUpAll()
		if f.run(120); f.changed != 0 {
			t.Errorf("lost %d times", f.changed)
		}
	})
}

func TestWhoSaysThatItStopsIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(3)
		f.run(60)
		s := f.senders[0]
		f.send(s, time.Now())
		s.Left, s.dead = time.Now().Add(time.Millisecond), true
		f.hangUp(s)
		if f.run(3600); f.changed != 0 {
			t.Fatalf("lost %d times", f.changed)
		}
		s.dead = false
		f.run(60)
		f.hangUp(s)
		s.dead = true
		if took := f.lostAfter(s.Node, Ended, 60); took != 10 {
			t.Errorf("started again and dead, it is lost after %d s", took)
		}
	})
}

func TestTheOnlyAgentOfAClusterIsLostToo(t *testing.T) {
	for how, limit := range map[How]int{Ended: 20, Silent: 35} {
		synctest.Test(t, func(t *testing.T) {
			f := newFleet(1)
			f.run(61)
			f.senders[0].dead = true
			if how == Ended {
				f.hangUp(f.senders[0])
			}
			if took := f.lostAfter("n00", how, 60); took == 0 || took > limit {
				t.Errorf("%s after %d s", how, took)
			}
		})
	}
}

func TestTheEndOfAProxysConnectionSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(4)
		f.run(60)
		shared, _ := net.Pipe()
		f.speaks("agent-0", shared, false, time.Now())
		f.speaks("agent-1", shared, false, time.Now())
		f.hangUp(f.senders[0]) // from now on they speak over the shared one
		f.hangUp(f.senders[1])
		f.speaks("agent-0", shared, false, time.Now())
		f.speaks("agent-1", shared, false, time.Now())
		forwarded, _ := net.Pipe()
		f.hangUp(f.senders[2])
		f.speaks("agent-2", forwarded, true, time.Now())
		f.State(shared, http.StateClosed)
		f.State(forwarded, http.StateClosed)
		if f.run(120); f.changed != 0 {
			t.Errorf("lost %d times", f.changed)
		}
		if len(f.connections) != 4 {
			t.Errorf("%d connections are followed, want one of each agent", len(f.connections))
		}
	})
}

func TestAfterAStartOfTheCollectorAgentsHaveTimeToBeHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(3)
		f.from = time.Now().Add(settle)
		for _, s := range f.senders {
			s.Heard, s.Newest = time.Now().Add(-time.Hour), time.Now().Add(-time.Hour)
		}
		f.senders[0].dead = true // since before the start
		if took := f.lostAfter("n00", Silent, 200); took != 90 {
			t.Errorf("lost after %d s", took)
		}
		if lost := f.lost(); len(lost) != 1 {
			t.Errorf("lost: %v", lost)
		}
	})
}

func TestARequestUnderWayIsASignOfLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(3)
		f.run(60)
		f.senders[0].dead = true
		f.State(f.senders[0].conn, http.StateActive) // a large batch over a slow line
		if f.run(120); f.changed != 0 {
			t.Errorf("lost %d times", f.changed)
		}
	})
}

func (f *fleet) hangUpAll() {
	for _, s := range f.senders {
		if s.conn != nil {
			f.hangUp(s)
		}
	}
}

// A real server tells of connections as the Watch expects, in both versions of HTTP.
func TestARealServersConnectionsAreFollowed(t *testing.T) {
	for _, secure := range []string{"http", "https"} {
		w := New(Config{}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		server := httptest.NewUnstartedServer(w.Heard(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusNoContent) })))
		server.Config.ConnContext = w.Opened
		server.Config.ConnState = w.State
		if secure == "https" {
			server.EnableHTTP2 = true
			server.StartTLS()
		} else {
			server.Start()
		}
		request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set(agentHeader, "a")
		answer, err := server.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		state := func() (open, followed int, closed bool) {
			w.mu.Lock()
			defer w.mu.Unlock()
			s := w.speakers["a"]
			return len(s.open), len(w.connections), !s.closed.IsZero()
		}
		if open, followed, closed := state(); open != 1 || followed != 1 || closed {
			t.Errorf("%s: %d open, %d followed, closed %v", answer.Proto, open, followed, closed)
		}
		server.Client().CloseIdleConnections()
		for range 100 {
			if _, _, closed := state(); closed {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if open, followed, closed := state(); open != 0 || followed != 0 || !closed {
			t.Errorf("%s, closed: %d open, %d followed, closed %v", answer.Proto, open, followed, closed)
		}
		server.Close()
	}
}
