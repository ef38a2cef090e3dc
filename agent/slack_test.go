package main

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// slackVariable makes the test binary a process that slackens its timers and looks at them.
const slackVariable = "PLIMSOLL_TEST_SLACK"

func TestTheTimersOfEveryThreadAreSlackenedWithoutPrivileges(t *testing.T) {
	if os.Getenv(slackVariable) == "" {
		self := exec.Command("/proc/self/exe", "-test.run", "^"+t.Name()+"$", "-test.v")
		self.Env = append(os.Environ(), slackVariable+"=1")
		if os.Geteuid() == 0 {
			self.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		if out, err := self.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return
	}
	if err := slackenTimers(); errors.Is(err, syscall.ENOTSUP) {
		t.Skip("this binary was built with cgo")
	} else if err != nil {
		t.Fatal(err)
	}
	// It panics where two threads answer differently.
	if got, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_GET_TIMERSLACK, 0, 0); errno != 0 || time.Duration(got) != timerSlack {
		t.Fatalf("the threads' slack is %s, %v", time.Duration(got), errno)
	}
}
