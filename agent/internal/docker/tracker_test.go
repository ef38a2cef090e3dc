package docker

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/docker/api/types/events"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

// diary is a sink that writes down what it is told, one line each.
type diary struct{ lines []string }

func (d *diary) line(format string, args ...any) {
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

func (d *diary) Started(c Container, _ time.Time) {
	d.line("started %s pid %d %s", c.ID, c.PID, c.Name)
}
func (d *diary) Changed(c Container, _ time.Time) {
	text := fmt.Sprintf("changed %s pid %d %s %s", c.ID, c.PID, c.Name, c.Health)
	if c.Paused {
		text += " paused"
	}
	if !c.StopAsked.IsZero() {
		text += " stopping"
	}
	d.line("%s", text)
}
func (d *diary) OOM(id cgroup.ContainerID, _ time.Time) { d.line("oom %s", id) }
func (d *diary) Died(id cgroup.ContainerID, _ time.Time, exit Exit) {
	text := fmt.Sprintf("died %s code %d", id, exit.Code)
	if !exit.Known {
		text = fmt.Sprintf("died %s unknown", id)
	}
	if exit.OOMKilled {
		text += " oom"
	}
	if exit.Asked {
		text += " asked"
	}
	d.line("%s", text)
}
func (d *diary) Gone(id cgroup.ContainerID, _ time.Time) { d.line("gone %s", id) }

// stage drives a tracker: seconds count from an arbitrary moment of the engine's clock.
type stage struct {
	*tracker
	sink *diary
	t    *testing.T
}

func second(s float64) time.Time { return time.Unix(1_800_000_000, int64(s*1e9)) }

func newStage(t *testing.T) stage {
	t.Helper()
	m, err := newMetrics(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := &diary{}
	s := stage{newTracker(d, 100, m), d, t}
	s.connected(Info{at: second(0), CgroupDriver: "cgroupfs"})
	return s
}

func (s stage) on(at float64, action events.Action, attributes ...string) {
	all := map[string]string{"name": "web", "image": "web:1"}
	for _, a := range attributes {
		name, value, _ := strings.Cut(a, "=")
		all[name] = value
	}
	ev, ok := eventOf(events.Message{Type: events.ContainerEventType, Action: action, Actor: events.Actor{ID: "c1", Attributes: all}, TimeNano: second(at).UnixNano()})
	if !ok {
		s.t.Fatalf("%s is no followed event", action)
	}
	s.event(ev, second(at))
}

// answer answers the oldest wish.
func (s stage) answer(found inspection, err error) {
	s.t.Helper()
	if len(s.wishes) == 0 {
		s.t.Fatal("nothing was asked")
	}
	id := s.wishes[0]
	s.wishes = s.wishes[1:]
	s.inspected(id, found, err, second(1000))
}

func (s stage) asked(want int) {
	s.t.Helper()
	if len(s.wishes) != want {
		s.t.Fatalf("%d inspections asked, want %d", len(s.wishes), want)
	}
}

func (s stage) told(want ...string) {
	s.t.Helper()
	if !slices.Equal(s.sink.lines, want) {
		s.t.Errorf("told:\n\t%s\nwant:\n\t%s", strings.Join(s.sink.lines, "\n\t"), strings.Join(want, "\n\t"))
	}
	s.sink.lines = nil
}

func running(startedAt float64, pid int) inspection {
	return inspection{Container: Container{ID: "c1", Name: "web", Image: "web:1", PID: pid, StartedAt: second(startedAt)}, running: true}
}

func exited(startedAt, finishedAt float64, code int) inspection {
	return inspection{Container: Container{ID: "c1", Name: "web", Image: "web:1", StartedAt: second(startedAt)}, exit: Exit{Code: code, Known: true}, finishedAt: second(finishedAt)}
}

func TestAStartIsToldOnceTheEngineHasBeenAskedOnce(t *testing.T) {
	s := newStage(t)
	s.on(1.01, "start")
	s.asked(1)
	s.told()
	s.answer(running(1, 77), nil)
	s.told("started c1 pid 77 web")
	s.asked(0)
	s.on(5, "die", "exitCode=3")
	s.on(6, "destroy")
	s.told("died c1 code 3", "gone c1")
	s.asked(0)
}

func TestALifeShorterThanItsInspectionIsStillTold(t *testing.T) {
	for sentence, answer := range map[string]func(stage){
		"the engine still has it":                        func(s stage) { s.answer(exited(1, 1.1, 3), nil) },
		"the engine removed it, the event told the name": func(s stage) { s.answer(inspection{}, errNoSuchContainer) },
		"the engine failed":                              func(s stage) { s.answer(inspection{}, errors.New("500")) },
		"the connection broke meanwhile":                 func(s stage) { s.disconnected(second(2)) },
	} {
		t.Run(sentence, func(t *testing.T) {
			s := newStage(t)
			s.on(1.01, "start")
			s.on(1.1, "die", "exitCode=3")
			answer(s)
			s.told("started c1 pid 0 web", "died c1 code 3")
		})
	}
	t.Run("its die event comes after the inspection", func(t *testing.T) {
		s := newStage(t)
		s.on(1.01, "start")
		s.answer(exited(1, 1.1, 3), nil)
		s.told("started c1 pid 0 web", "died c1 code 3")
		s.on(1.1, "die", "exitCode=3")
		s.told()
	})
}

func TestEveryLifeOfACrashLoopIsToldOnce(t *testing.T) {
	s := newStage(t)
	s.on(1.01, "start")
	s.on(1.1, "die", "exitCode=1")
	s.on(1.31, "start") // the engine is slow: life 2 runs when it answers
	s.answer(running(1.3, 88), nil)
	s.told("started c1 pid 0 web", "died c1 code 1")
	s.answer(running(1.3, 88), nil)
	s.told("started c1 pid 88 web")
	s.on(1.4, "die", "exitCode=1")
	s.on(1.61, "start")
	s.answer(exited(1.6, 1.7, 1), nil)
	s.told("died c1 code 1", "started c1 pid 0 web", "died c1 code 1")
	s.on(1.7, "die", "exitCode=1")
	s.told()
	s.asked(0)
}

func TestAnInspectionOfALaterLifeIsNotTakenForThisOne(t *testing.T) {
	s := newStage(t)
	s.on(1.01, "start")
	s.answer(running(1.3, 88), nil) // the engine restarted it; its events are still on their way
	s.told("started c1 pid 0 web")
	s.on(1.1, "die", "exitCode=1")
	s.on(1.31, "start")
	s.answer(running(1.3, 88), nil)
	s.told("died c1 code 1", "started c1 pid 88 web")
}

func TestADeathIsToldAtOnceHoweverBusyTheEngineIs(t *testing.T) {
	s := newStage(t)
	s.on(1.01, "start")
	s.answer(running(1, 77), nil)
	s.on(2, "update")
	s.asked(1)
	s.on(3, "die", "exitCode=0")
	s.told("started c1 pid 77 web", "died c1 code 0")
	s.answer(running(1, 77), nil) // older than the death
	s.told()
}

func TestAnOutOfMemoryKill(t *testing.T) {
	begin := func(t *testing.T) stage {
		s := newStage(t)
		s.on(1.01, "start")
		s.answer(running(1, 77), nil)
		s.told("started c1 pid 77 web")
		return s
	}
	t.Run("is told before the death when its event comes first", func(t *testing.T) {
		s := begin(t)
		s.on(2, "oom")
		s.on(2.1, "die", "exitCode=137")
		s.told("oom c1", "died c1 code 137 oom")
		s.asked(0)
	})
	t.Run("is asked about when its event is missing and the exit looks like one", func(t *testing.T) {
		s := begin(t)
		s.on(2, "die", "exitCode=137")
		s.told("died c1 code 137")
		found := exited(1, 2, 137)
		found.OOMKilled = true
		s.answer(found, nil)
		s.told("oom c1")
	})
	t.Run("is not made up for a plain SIGKILL", func(t *testing.T) {
		s := begin(t)
		s.on(2, "die", "exitCode=137")
		s.answer(exited(1, 2, 137), nil)
		s.told("died c1 code 137")
	})
	t.Run("of an earlier life does not stick to the next", func(t *testing.T) {
		s := begin(t)
		s.on(2, "oom")
		s.on(2.1, "die", "exitCode=137")
		s.on(3.01, "start")
		s.answer(running(3, 78), nil)
		s.on(4, "die", "exitCode=0")
		s.told("oom c1", "died c1 code 137 oom", "started c1 pid 78 web", "died c1 code 0")
	})
}

func TestChangesAreReadOffTheEventsAlone(t *testing.T) {
	s := newStage(t)
	s.on(1.01, "start")
	s.answer(running(1, 77), nil)
	s.on(2, "health_status: unhealthy")
	s.on(3, "health_status: unhealthy")
	s.on(4, "health_status: healthy")
	s.on(5, "pause")
	s.on(6, "unpause")
	s.on(7, "rename", "name=/www", "oldName=/web")
	s.told("started c1 pid 77 web", "changed c1 pid 77 web unhealthy", "changed c1 pid 77 web healthy",
		"changed c1 pid 77 web healthy paused", "changed c1 pid 77 web healthy", "changed c1 pid 77 www healthy")
	s.asked(0)
}

func TestAnInspectionOlderThanAChangeDoesNotUndoIt(t *testing.T) {
	s := newStage(t)
	s.on(1.01, "start")
	s.answer(running(1, 77), nil)
	s.on(2, "update")
	s.on(3, "health_status: unhealthy")
	s.told("started c1 pid 77 web", "changed c1 pid 77 web unhealthy")
	s.answer(running(1, 77), nil)
	s.told()
	found := running(1, 77)
	found.Health = HealthUnhealthy
	s.answer(found, nil)
	s.told()
	s.asked(0)
}

func TestTheListFindsWhatTheEventsDidNotTell(t *testing.T) {
	web := Container{ID: "c1", Name: "web", Image: "web:1"}
	t.Run("a container that runs already", func(t *testing.T) {
		s := newStage(t)
		s.listed([]Container{web}, everyContainer, second(10))
		s.answer(running(1, 77), nil)
		s.told("started c1 pid 77 web")
	})
	t.Run("its start event, which comes too, tells nothing new", func(t *testing.T) {
		s := newStage(t)
		s.listed([]Container{web}, everyContainer, second(10))
		s.on(1.01, "start")
		s.answer(running(1, 77), nil)
		s.answer(running(1, 77), nil)
		s.told("started c1 pid 77 web")
		s.asked(0)
	})
	t.Run("a missed death, with its exit code", func(t *testing.T) {
		s := newStage(t)
		s.on(1.01, "start")
		s.answer(running(1, 77), nil)
		s.listed(nil, differences, second(10))
		s.answer(exited(1, 5, 4), nil)
		s.told("started c1 pid 77 web", "died c1 code 4")
	})
	t.Run("a missed removal", func(t *testing.T) {
		s := newStage(t)
		s.on(1.01, "start")
		s.answer(running(1, 77), nil)
		s.listed(nil, differences, second(10))
		s.answer(inspection{}, errNoSuchContainer)
		s.told("started c1 pid 77 web") // its events may be on their way
		s.answer(inspection{}, errNoSuchContainer)
		s.told("died c1 unknown", "gone c1")
	})
	t.Run("a missed restart", func(t *testing.T) {
		s := newStage(t)
		s.on(1.01, "start")
		s.answer(running(1, 77), nil)
		s.listed([]Container{web}, everyContainer, second(10))
		s.answer(running(8, 78), nil)
		s.told("started c1 pid 77 web")
		s.answer(running(8, 78), nil)
		s.told("died c1 unknown", "started c1 pid 78 web")
	})
	t.Run("a restart whose events are on their way keeps its exit code", func(t *testing.T) {
		s := newStage(t)
		s.on(1.01, "start")
		s.answer(running(1, 77), nil)
		s.listed([]Container{web}, everyContainer, second(10))
		s.answer(running(8, 78), nil)
		s.on(7.9, "die", "exitCode=5")
		s.on(8.01, "start")
		s.answer(running(8, 78), nil)
		s.answer(running(8, 78), nil)
		s.told("started c1 pid 77 web", "died c1 code 5", "started c1 pid 78 web")
		s.asked(0)
	})
	t.Run("nothing is asked about containers that are as they were told", func(t *testing.T) {
		s := newStage(t)
		s.on(1.01, "start")
		s.answer(running(1, 77), nil)
		s.listed([]Container{web}, differences, second(10))
		s.asked(0)
	})
	t.Run("a missed health event", func(t *testing.T) {
		s := newStage(t)
		s.on(1.01, "start")
		s.answer(running(1, 77), nil)
		sick := web
		sick.Health = HealthUnhealthy
		s.listed([]Container{sick}, differences, second(10))
		found := running(1, 77)
		found.Health = HealthUnhealthy
		s.answer(found, nil)
		s.told("started c1 pid 77 web", "changed c1 pid 77 web unhealthy")
	})
	t.Run("a container the engine could not be asked about is asked about again", func(t *testing.T) {
		s := newStage(t)
		s.listed([]Container{web}, everyContainer, second(10))
		s.answer(inspection{}, errors.New("timeout"))
		s.told("started c1 pid 0 web")
		s.listed([]Container{web}, differences, second(130))
		s.answer(running(1, 77), nil)
		s.told("changed c1 pid 77 web none")
	})
}

func TestAReplayAfterAReconnectCountsNothingTwice(t *testing.T) {
	s := newStage(t)
	s.on(1.01, "start")
	s.answer(running(1, 77), nil)
	s.on(2, "oom")
	s.told("started c1 pid 77 web", "oom c1")
	s.disconnected(second(3))
	s.connected(Info{at: second(9)})
	s.on(1.01, "start")
	s.on(2, "oom") // seen before
	s.on(4, "die", "exitCode=137")
	s.told("died c1 code 137 oom")
	s.asked(0)
}

func TestTheEnginesClockMayBePutBack(t *testing.T) {
	s := newStage(t)
	s.on(100.01, "start")
	s.answer(running(100, 77), nil)
	s.on(101, "die", "exitCode=0")
	s.disconnected(second(102))
	s.connected(Info{at: second(50)})
	s.listed([]Container{{ID: "c1", Name: "web"}}, everyContainer, second(51))
	s.answer(running(50.5, 78), nil)
	s.told("started c1 pid 77 web", "died c1 code 0", "started c1 pid 78 web")
}

func TestContainersPastTheLimitAreLeftOutAndDeadOnesMakeRoom(t *testing.T) {
	s := newStage(t)
	s.limit = 1
	s.on(1.01, "start")
	s.answer(running(1, 77), nil)
	other := event{id: "c2", action: "start", at: second(2)}
	s.event(other, second(2))
	s.asked(0)
	s.on(3, "die", "exitCode=0")
	other.at = second(4)
	s.event(other, second(4))
	s.asked(1)
}

func TestWhatHappenedSinceTheAgentsRunBeforeIsTold(t *testing.T) {
	m, err := newMetrics(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := &diary{}
	s := stage{newTracker(d, 100, m), d, t}
	s.resume(second(10), []Container{{ID: "c1", Name: "web", StartedAt: second(1), PID: 7}})
	s.connected(Info{at: second(60), CgroupDriver: "cgroupfs"})
	s.on(10, events.ActionOOM) // told by the run before
	s.on(20, events.ActionOOM)
	s.on(21, events.ActionDie, "exitCode=137")
	if want := []string{"oom c1", "died c1 code 137 oom"}; !slices.Equal(d.lines, want) {
		t.Errorf("told %q, want %q", d.lines, want)
	}
}

func TestAnEndIsToldAsAskedFor(t *testing.T) {
	for _, c := range []struct {
		sentence, image string
		play            func(stage)
		want            []string
	}{
		{"after a stop that the program answers with a code of its own", "", func(s stage) {
			s.on(5, "kill", "signal=15")
			s.on(6, "die", "exitCode=3")
		}, []string{"changed c1 pid 77 web none stopping", "died c1 code 3 asked"}},
		{"after the second signal of a stop", "", func(s stage) {
			s.on(5, "kill", "signal=15")
			s.on(15, "kill", "signal=9")
			s.on(15.1, "die", "exitCode=137")
			s.asked(1)
			s.answer(exited(1, 15.1, 137), nil)
		}, []string{"changed c1 pid 77 web none stopping", "changed c1 pid 77 web none stopping", "died c1 code 137 asked"}},
		{"by the signal its image says", "SIGWINCH", func(s stage) {
			s.on(5, "kill", "signal=28")
			s.on(6, "die", "exitCode=0")
		}, []string{"changed c1 pid 77 web none stopping", "died c1 code 0 asked"}},
		{"although the engine was asked about the container meanwhile", "", func(s stage) {
			s.on(5, "update")
			s.on(5.1, "kill", "signal=15")
			s.answer(running(1, 77), nil) // older than the kill
			s.answer(running(1, 77), nil)
			s.on(6, "die", "exitCode=143")
		}, []string{"changed c1 pid 77 web none stopping", "died c1 code 143 asked"}},
		{"although the event of the end was missed", "", func(s stage) {
			s.on(5, "kill", "signal=15")
			s.disconnected(second(5.1))
			s.connected(Info{at: second(7)})
			s.listed(nil, everyContainer, second(7))
			s.answer(exited(1, 6, 143), nil)
		}, []string{"changed c1 pid 77 web none stopping", "died c1 code 143 asked"}},
		{"as Podman tells of a kill", "", func(s stage) {
			s.on(5, "kill")
			s.on(6, "die", "exitCode=137")
			s.answer(exited(1, 6, 137), nil)
			s.on(7, "remove")
		}, []string{"changed c1 pid 77 web none stopping", "died c1 code 137 asked", "gone c1"}},
		{"not after a signal that tells something else", "", func(s stage) {
			s.on(5, "kill", "signal=1")
			s.on(6, "die", "exitCode=1")
		}, []string{"died c1 code 1"}},
		{"not after a signal of which it took no notice", "", func(s stage) {
			s.on(5, "kill", "signal=15")
			s.on(5+600, "die", "exitCode=1")
		}, []string{"changed c1 pid 77 web none stopping", "died c1 code 1"}},
		{"not in its next life", "", func(s stage) {
			s.on(5, "kill", "signal=15")
			s.on(6, "die", "exitCode=143")
			s.on(7.01, "start")
			s.answer(running(7, 78), nil)
			s.on(8, "die", "exitCode=1")
		}, []string{"changed c1 pid 77 web none stopping", "died c1 code 143 asked", "started c1 pid 78 web", "died c1 code 1"}},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			s := newStage(t)
			s.on(1.01, "start")
			found := running(1, 77)
			found.StopSignal = signalNumber(c.image)
			s.answer(found, nil)
			s.sink.lines = nil
			c.play(s)
			s.told(c.want...)
		})
	}
}

func TestSignalsByNameAndNumber(t *testing.T) {
	for text, want := range map[string]int{"15": 15, "SIGTERM": 15, "term": 15, "QUIT": 3, "SIGWINCH": 28, "SIGRTMIN+3": 37, "RTMIN": 34, "": 0, "SIGRTMIN+x": 0, "nonsense": 0} {
		if got := signalNumber(text); got != want {
			t.Errorf("%q is %d, want %d", text, got, want)
		}
	}
}
