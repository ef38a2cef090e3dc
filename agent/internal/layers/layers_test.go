package layers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// container makes a proc in which process 7 has an overlay root with that upper directory, and a volume mounted on /data.
func container(t *testing.T, upper string) (proc string) {
	t.Helper()
	proc = t.TempDir()
	write(t, filepath.Join(proc, "7/mountinfo"), fmt.Sprintf(`1 0 0:40 / / rw - overlay overlay rw,lowerdir=/l1:/l2,upperdir=%s,workdir=/w
2 1 0:41 / /proc rw - proc proc rw
3 1 254:0 /var/lib/docker/volumes/store/_data /data rw - ext4 /dev/vda rw
4 1 254:0 /etc /host/etc ro - ext4 /dev/vda rw
`, upper))
	write(t, filepath.Join(proc, "7/root/data/db"), strings.Repeat("x", 64<<10))
	return proc
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestAWritableLayerAndItsVolumesAreMeasuredAsDuDoes(t *testing.T) {
	upper := t.TempDir()
	write(t, filepath.Join(upper, "a/b/file"), strings.Repeat("x", 100<<10))
	if err := os.Link(filepath.Join(upper, "a/b/file"), filepath.Join(upper, "again")); err != nil {
		t.Fatal(err)
	}
	w := New(Config{Proc: container(t, upper)})
	if _, ok := w.Sizes("c", 7); ok {
		t.Fatal("sizes before the first walk")
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	var s Sizes
	for ok := false; !ok; {
		time.Sleep(10 * time.Millisecond)
		if s, ok = w.Sizes("c", 7); t.Context().Err() != nil {
			t.Fatal("no walk")
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(upper, &st); err != nil {
		t.Fatal(err)
	}
	if s.Inodes != 3 { // a, a/b and the file, which has two names
		t.Errorf("%d inodes", s.Inodes)
	}
	if s.Bytes < 100<<10 || s.Bytes > 200<<10 {
		t.Errorf("%d bytes in a layer of one file of 100 KiB with two names", s.Bytes)
	}
	if s.Major != unix.Major(st.Dev) || s.Minor != unix.Minor(st.Dev) {
		t.Errorf("device %d:%d", s.Major, s.Minor)
	}
	if len(s.Volumes) != 1 || s.Volumes[0].Point != "/data" || s.Volumes[0].Bytes < 64<<10 {
		t.Errorf("volumes %+v; what is bound from elsewhere is not the container's", s.Volumes)
	}
}

func TestALayerThatIsTooLargeHasNoSize(t *testing.T) {
	upper := t.TempDir()
	for i := range 5 {
		write(t, filepath.Join(upper, fmt.Sprint(i)), "")
	}
	w := New(Config{Proc: container(t, upper), MostFiles: 4})
	if _, err := w.measure(t.Context(), 7); !errors.Is(err, errTooMany) {
		t.Errorf("%v", err)
	}
}

func TestAContainerWithoutAnOverlayHasNoSize(t *testing.T) {
	proc := t.TempDir()
	write(t, filepath.Join(proc, "7/mountinfo"), "1 0 0:40 / / rw - btrfs /dev/sda rw\n")
	if _, err := New(Config{Proc: proc}).measure(t.Context(), 7); !errors.Is(err, errNoOverlay) {
		t.Errorf("%v", err)
	}
}

func TestWhoIsNotAskedForIsForgotten(t *testing.T) {
	w := New(Config{Interval: time.Minute})
	w.Sizes("c", 7)
	if _, e := w.next(time.Now()); e == nil {
		t.Error("a container asked for is not due")
	}
	if _, e := w.next(time.Now().Add(3 * time.Minute)); e != nil || len(w.known) != 0 {
		t.Error("it is remembered for ever")
	}
}
