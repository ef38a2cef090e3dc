package docker

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// peerSocket names, in the environment, the socket that a copy of this test in a PID namespace of its own connects to.
const peerSocket = "PLIMSOLL_TEST_PEER"

func TestAnEngineOutsideOfThePIDNamespaceIsKnownByItsSocket(t *testing.T) {
	if socket := os.Getenv(peerSocket); socket != "" {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Println("outside:", isOutside(conn))
		return
	}
	socket := filepath.Join(t.TempDir(), "engine.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	f := func(flags uintptr, want string) {
		t.Helper()
		child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		child.Env = append(os.Environ(), peerSocket+"="+socket)
		child.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
		if out, err := child.CombinedOutput(); err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%v, want %q in:\n%s", err, want, out)
		}
	}
	f(0, "outside: false")
	if os.Geteuid() != 0 && os.Getenv("CI") != "true" {
		t.Skip("needs root for a PID namespace")
	}
	f(syscall.CLONE_NEWPID, "outside: true")
}
