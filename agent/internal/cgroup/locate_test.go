package cgroup

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAContainerOfAPodIsFoundByTheKubeletsLayouts(t *testing.T) {
	const uid = "ebae9e83-66d6-495f-9992-e9eaba01d720"
	id := ContainerID(strings.Repeat("ab", 32))
	escaped := strings.ReplaceAll(uid, "-", "_")
	for name, path := range map[string]string{
		"cgroupfs, burstable":            "/kubepods/burstable/pod" + uid + "/" + string(id),
		"cgroupfs, guaranteed":           "/kubepods/pod" + uid + "/" + string(id),
		"cgroupfs, CRI-O":                "/kubepods/besteffort/pod" + uid + "/crio-" + string(id),
		"systemd, burstable, Docker":     "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + escaped + ".slice/docker-" + string(id) + ".scope",
		"systemd, best effort, CRI-O":    "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + escaped + ".slice/crio-" + string(id) + ".scope",
		"systemd, guaranteed":            "/kubepods.slice/kubepods-pod" + escaped + ".slice/cri-containerd-" + string(id) + ".scope",
		"another root, which Walk finds": "/kubelet/kubepods/pod" + uid + "/" + string(id),
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			if err := os.MkdirAll(root+path, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(root+"/cgroup.controllers", nil, 0o644); err != nil {
				t.Fatal(err)
			}
			f, err := Detect(root, "/proc")
			if err != nil {
				t.Fatal(err)
			}
			want := path
			if strings.HasPrefix(path, "/kubelet") {
				want = ""
			}
			if got := f.LocatePod(uid, id); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestTheFirstProcessOfAContainerIsItsOldest(t *testing.T) {
	root, proc := t.TempDir(), t.TempDir()
	stat := func(pid, name, start string) {
		if err := os.Mkdir(filepath.Join(proc, pid), 0o755); err != nil {
			t.Fatal(err)
		}
		text := pid + " (" + name + ") S 1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 " + start + " 1 2 3"
		if err := os.WriteFile(filepath.Join(proc, pid, "stat"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stat("900", "sh", "5000") // the PIDs have wrapped: its child has a lower one
	stat("40", "worker) S 2", "5001")
	stat("50", "exec", "90000")
	for name, text := range map[string]string{"cgroup.controllers": "", "cgroup.procs": "0\n40\n50\n900\n77\n"} { // 77 has ended
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f, err := Detect(root, proc)
	if err != nil {
		t.Fatal(err)
	}
	if pid, err := f.InitPID(f.PathsFor("/")); pid != 900 || err != nil {
		t.Errorf("got %d, %v", pid, err)
	}
}
