package docker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/events"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/client"
	"golang.org/x/sys/unix"

	"github.com/plimsoll/plimsoll/agent/internal/cgroup"
)

var (
	errNoSuchContainer = errors.New("no such container")
	// errNoFigures is an answer of zeros, which an engine gives of a container that does not run, and of any whose figures it failed to collect
	// at that moment.
	errNoFigures = errors.New("the engine has collected no figures")
)

// connection is what is asked of an engine. *wire is the real one.
type connection interface {
	// info tells who the engine is.
	info(ctx context.Context) (Info, error)
	// swarm tells what an engine that said this of itself knows of its Swarm.
	swarm(ctx context.Context, info Info) (Swarm, error)
	// list tells the running containers, paused ones too, with what the list knows of them.
	list(ctx context.Context) ([]Container, error)
	// inspect tells one container. errNoSuchContainer: the engine does not have it any more.
	inspect(ctx context.Context, id cgroup.ContainerID) (inspection, error)
	// stats tells the figures of a running container. errNoSuchContainer: the engine does not have it any more. errNoFigures: perhaps it does
	// not run.
	stats(ctx context.Context, id cgroup.ContainerID) (container.StatsResponse, error)
	// limits tells what a container was given. errNoSuchContainer: the engine does not have it any more.
	limits(ctx context.Context, id cgroup.ContainerID) (limits, error)
	// events streams followedActions until ctx ends or the error channel yields. The engine replays what it remembers from
	// since on; zero means no replay.
	events(ctx context.Context, since time.Time) (<-chan events.Message, <-chan error)
	close()
}

// wire is a connection over the Engine API. Its methods may be called concurrently.
type wire struct {
	cli          *client.Client
	timeout      time.Duration
	cgroupDriver string
	foreignPIDs  bool
	metrics      *metrics

	mu      sync.Mutex
	dialErr error             // the last dial's; the client's own error text loses it
	outside bool              // Info.Outside
	images  map[string]string // image ID -> reference
}

// maxImages bounds the memory of image names; past it they are asked for again.
const maxImages = 1024

// dial makes a connection and asks the engine who it is. The API version is negotiated anew each time, because the engine may
// have been up- or downgraded while it was away.
func (e *Engine) dial(ctx context.Context) (connection, Info, error) {
	w := &wire{timeout: e.cfg.Timeout, foreignPIDs: e.cfg.ForeignPIDs, metrics: e.metrics, images: map[string]string{}}
	network, address, _ := strings.Cut(e.cfg.Host, "://")
	options := []client.Opt{
		client.WithHost(e.cfg.Host),
		client.WithAPIVersionNegotiation(),
		client.WithDialContext(func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := (&net.Dialer{Timeout: e.cfg.Timeout}).DialContext(ctx, network, address)
			w.mu.Lock()
			w.dialErr, w.outside = err, e.cfg.SamePIDs && isOutside(conn)
			w.mu.Unlock()
			return conn, err
		}),
	}
	if e.cfg.encrypted() {
		options = append(options, client.WithTLSClientConfig(e.cfg.CAFile, e.cfg.CertFile, e.cfg.KeyFile))
	}
	cli, err := client.NewClientWithOpts(options...)
	if err != nil {
		return nil, Info{}, fmt.Errorf("make a client for %s: %w", e.cfg.Host, err)
	}
	w.cli = cli
	info, err := w.info(ctx)
	if err != nil {
		w.close()
		return nil, Info{}, err
	}
	w.cgroupDriver, w.foreignPIDs = info.CgroupDriver, w.foreignPIDs || info.Outside
	return w, info, nil
}

// isOutside tells whether who listens at the other end of a unix socket has no number in this process's PID namespace.
// https://man7.org/linux/man-pages/man7/unix.7.html (SO_PEERCRED)
func isOutside(conn net.Conn) bool {
	socket, ok := conn.(*net.UnixConn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return false
	}
	outside := false
	err = raw.Control(func(fd uintptr) {
		peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		outside = err == nil && peer.Pid == 0
	})
	return err == nil && outside
}

func (w *wire) close() { _ = w.cli.Close() }

// failed counts and names a failed request.
func (w *wire) failed(request string, err error) error {
	w.metrics.failures.WithLabelValues(request).Inc()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dialErr != nil {
		err = w.dialErr
	}
	return fmt.Errorf("%s: %w", request, err)
}

func (w *wire) info(ctx context.Context) (Info, error) {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	w.metrics.requests.WithLabelValues("info").Inc()
	if _, err := w.cli.Ping(ctx); err != nil {
		return Info{}, w.failed("info", err)
	}
	in, err := w.cli.Info(ctx)
	if err != nil {
		return Info{}, w.failed("info", err)
	}
	info := infoOf(in, w.cli.ClientVersion())
	w.mu.Lock()
	info.Outside = w.outside
	w.mu.Unlock()
	return info, nil
}

func (w *wire) list(ctx context.Context) ([]Container, error) {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	w.metrics.requests.WithLabelValues("list").Inc()
	found, err := w.cli.ContainerList(ctx, container.ListOptions{})
	if err != nil {
		return nil, w.failed("list", err)
	}
	listed := make([]Container, 0, len(found))
	for _, s := range found {
		if s.ID != "" && (s.State == container.StateRunning || s.State == container.StatePaused) {
			listed = append(listed, listedOf(s, w.cgroupDriver))
		}
	}
	return listed, nil
}

func listedOf(s container.Summary, cgroupDriver string) Container {
	c := Container{
		ID: cgroup.ContainerID(s.ID), Image: s.Image, Labels: s.Labels, Created: time.Unix(s.Created, 0),
		NetworkMode: s.HostConfig.NetworkMode, Paused: s.State == container.StatePaused,
		CgroupPath: cgroupPath(cgroupDriver, "", cgroup.ContainerID(s.ID)),
	}
	for _, name := range s.Names { // legacy links are names too: /other/alias
		if name = strings.TrimPrefix(name, "/"); !strings.Contains(name, "/") {
			c.Name = name
		}
	}
	switch { // "Up 3 minutes (healthy)", "Up 2 seconds (health: starting)"
	case strings.HasSuffix(s.Status, "(healthy)"):
		c.Health = HealthHealthy
	case strings.HasSuffix(s.Status, "(unhealthy)"):
		c.Health = HealthUnhealthy
	case strings.HasSuffix(s.Status, "(health: starting)"):
		c.Health = HealthStarting
	}
	return c
}

func (w *wire) inspect(ctx context.Context, id cgroup.ContainerID) (inspection, error) {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	w.metrics.requests.WithLabelValues("inspect").Inc()
	in, err := w.cli.ContainerInspect(ctx, string(id))
	if errdefs.IsNotFound(err) {
		return inspection{}, errNoSuchContainer
	}
	if err != nil {
		return inspection{}, w.failed("inspect", err)
	}
	found, err := inspectionOf(in, w.cgroupDriver)
	if err != nil {
		return inspection{}, w.failed("inspect", err)
	}
	if w.foreignPIDs {
		found.PID = 0
	}
	if isImageID(found.Image, in.Image) {
		found.Image = w.imageName(ctx, in.Image)
	}
	return found, nil
}

// isImageID tells whether a container was started by its image's ID (or by nothing known) instead of a reference.
func isImageID(configured, imageID string) bool {
	const algorithm = "sha256:"
	return strings.HasPrefix(strings.TrimPrefix(imageID, algorithm), strings.TrimPrefix(configured, algorithm))
}

// imageName is the image's tag, else its digest, else its ID.
func (w *wire) imageName(ctx context.Context, id string) string {
	if strings.TrimPrefix(id, "sha256:") == "" { // a root file system of Podman's, without an image
		return ""
	}
	w.mu.Lock()
	name, known := w.images[id]
	w.mu.Unlock()
	if known {
		return name
	}
	w.metrics.requests.WithLabelValues("image").Inc()
	image, err := w.cli.ImageInspect(ctx, id)
	switch {
	case err != nil && !errdefs.IsNotFound(err):
		_ = w.failed("image", err) // counted; asked again with the next container
		return id
	case len(image.RepoTags) > 0:
		name = image.RepoTags[0]
	case len(image.RepoDigests) > 0:
		name = image.RepoDigests[0]
	default:
		name = id
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.images) >= maxImages {
		clear(w.images)
	}
	w.images[id] = name
	return name
}

func (w *wire) events(ctx context.Context, since time.Time) (<-chan events.Message, <-chan error) {
	args := filters.NewArgs(filters.Arg("type", string(events.ContainerEventType)))
	for _, action := range followedActions() {
		args.Add("event", string(action))
	}
	args.Add("event", "died") // what Podman's filter knows the events by that it then tells as die
	options := events.ListOptions{Filters: args}
	if !since.IsZero() {
		options.Since = fmt.Sprintf("%d.%09d", since.Unix(), since.Nanosecond())
	}
	w.metrics.requests.WithLabelValues("events").Inc()
	return w.cli.Events(ctx, options)
}
