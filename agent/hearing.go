package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
	"github.com/plimsoll/plimsoll/agent/internal/urgent"
)

// What doctor says about hearing of births and deaths, and about what a running agent has not heard or read in time.

// hearing tries what the agent hears with.
func (r *report) hearing(cfg config, e *eyes) {
	switch {
	case e.birthsErr != nil:
		r.bad("births", "%v: containers are heard of from the runtimes alone, and those shorter than a runtime's word leave exit records without CPU time; more instances: sysctl fs.inotify.max_user_instances", e.birthsErr)
	default:
		r.watches(cfg, e)
	}
	if e.exitsErr != nil {
		r.bad("deaths", "%v: final readings wait for the runtime's word and may come too late for an exit record's CPU time and memory peak", e.exitsErr)
	} else {
		r.good("deaths", "the ends of %d processes at once can be heard of from the kernel", min(mostWatched+mostYoung, spareDescriptors(e.budget)))
	}
	tried := make(chan error)
	go func() {
		end, err := urgent.Begin()
		end()
		tried <- err
	}()
	if err := <-tried; err != nil {
		mend := "CAP_SYS_NICE and all CPUs (no cpuset) would mend that"
		if errors.Is(err, unix.EBUSY) {
			mend = "other threads under SCHED_DEADLINE have taken what the kernel promises"
		}
		r.good("urgency", "none (%v): where more wants to run than there are CPUs a final reading may come too late; %s", err, mend)
	} else {
		r.good("urgency", "what hears of deaths runs first, 1 ms of any 10 at most")
	}
}

// spareDescriptors are those left to watch processes with.
func spareDescriptors(held *cgroup.Budget) int {
	var most unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &most) != nil {
		return mostWatched + mostYoung
	}
	return max(0, int(min(most.Cur, 1<<20))-held.Limit())
}

// watches compares the inotify watches that the present containers take with what one user may have.
func (r *report) watches(cfg config, e *eyes) {
	path := filepath.Join(cfg.rootProc, "sys/fs/inotify/max_user_watches")
	text, err := os.ReadFile(path)
	if err != nil {
		r.good("births", "heard of from the kernel; how many inotify watches there may be is not known: %v", err)
		return
	}
	most, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		r.bad("births", "%s: %v", path, err)
		return
	}
	groups := 0
	if err := e.fs.Walk(func(cgroup.Found) { groups++ }); err != nil {
		r.bad("births", "%v", err)
		return
	}
	if groups*5/4 > most {
		r.bad("births", "%d cgroups and fs.inotify.max_user_watches=%d: births and deaths past that are heard of from the runtimes alone; raise it with sysctl", groups, most)
		return
	}
	r.good("births", "heard of from the kernel: %d cgroups, %d inotify watches allowed", groups, most)
}

// processes tells whether those of containers may be looked into.
func (r *report) processes(cfg config, e *eyes) {
	for _, c := range e.table.Live(nil) {
		if c.PID == 0 {
			continue
		}
		if err := unix.Access(filepath.Join(cfg.rootProc, strconv.Itoa(c.PID), "fd"), unix.R_OK|unix.X_OK); err == unix.EACCES || err == unix.EPERM {
			r.bad("processes", "the descriptors of %s can not be counted (%v): container_file_descriptors is missing; CAP_SYS_PTRACE, or the user root, would mend that", c.Labels.Container, err)
			return
		}
	}
}

// losses tells what a running agent has missed, by its own metrics.
func (r *report) losses(took map[string]float64) {
	for _, l := range []struct{ what, metric, costs, mend string }{
		{"births", "plimsoll_agent_cgroup_notices_overflows_total", "times the kernel dropped notices of cgroups: short-lived containers were missed then", "raise it: sysctl fs.inotify.max_queued_events"},
		{"births", `plimsoll_agent_cgroup_watches_refused_total{reason="max_user_watches"}`, "watches were refused: births and deaths there are heard of from the runtimes alone", "raise it: sysctl fs.inotify.max_user_watches"},
		{"births", "plimsoll_agent_containers_held_refused_total", "new cgroups were not read before their name was known: what the shortest used is not counted", "which runtime starts them? --docker.host or --kubernetes should name it"},
		{"deaths", "plimsoll_agent_exits_unwatched_total", "containers whose exit is learnt from the runtime alone: their final reading may be missing", "raise the limit of open files (LimitNOFILE)"},
		{"slow", "plimsoll_agent_slow_readings_deferred_total", "readings of the slow groups were put off, their figures are older than --slow-interval", "raise --limit.slow or --slow-interval, or switch groups off (--metrics.disable)"},
	} {
		if n := took[l.metric]; n > 0 {
			r.bad(l.what, "%.0f %s: %s", n, l.costs, l.mend)
		}
	}
	r.readErrors(took)
	missed, ended := took["plimsoll_agent_final_readings_missed_total"], took[`plimsoll_agent_cgroup_notices_total{what="removed"}`]
	say := r.good
	if missed > 0.01*ended && missed > 1 {
		say = r.bad
	}
	urgently := "; on a busy node CAP_SYS_NICE would mend that"
	if took["plimsoll_agent_urgent_threads"] > 0 || missed == 0 {
		urgently = ""
	}
	say("deaths", "%.0f containers ended without a final reading since the agent's start%s", missed, urgently)
}

// readErrors tells which kernel files the running agent could not use, by the reason.
func (r *report) readErrors(took map[string]float64) {
	for _, why := range []struct{ reason, costs, mend string }{
		{"malformed", "not as the kernel documents them, their figures are left out", "another file system may be mounted over them, or the kernel is newer than this agent"},
		{"truncated", "cut off, or longer than 256 KiB, and what was missing is left out", "a node with that many network interfaces or devices is more than the agent reads"},
		{"permission", "denied, their figures are missing", "run the agent as root; looking into processes of other users takes CAP_SYS_PTRACE"},
		{"descriptors", "not opened for want of descriptors", "raise the limit of open files (LimitNOFILE)"},
		{"limit", "of more than 256 devices or interfaces, and the rest was left out", "nothing here would"},
		{"vanished", "gone while their cgroup lives on, and read again when they are back", "was a controller taken from it, by cgroup.subtree_control or systemd's Delegate=?"},
		{"io", "answered with an error of the kernel, their figures are missing", "the kernel's log may say more"},
	} {
		var files []string
		for name, n := range took {
			file, reason, ok := readError(name)
			if ok && reason == why.reason && n > 0 {
				files = append(files, fmt.Sprintf("%s (%.0f)", file, n))
			}
		}
		if len(files) == 0 {
			continue
		}
		slices.Sort(files)
		const most = 8
		if more := len(files) - most; more > 0 {
			files = append(files[:most], fmt.Sprintf("%d others", more))
		}
		r.bad("files", "readings of %s since the agent's start were %s; %s", strings.Join(files, ", "), why.costs, why.mend)
	}
}

// readError takes a series of plimsoll_agent_read_errors_total apart.
func readError(series string) (file, reason string, ok bool) {
	labels, ok := strings.CutPrefix(series, `plimsoll_agent_read_errors_total{file="`)
	if !ok {
		return "", "", false
	}
	file, reason, ok = strings.Cut(strings.TrimSuffix(labels, `"}`), `",reason="`)
	return file, reason, ok
}
