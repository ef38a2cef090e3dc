package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"
)

// TestWhatPeopleDoOnPurposePagesNobody: a rolling deployment whose programs answer SIGTERM with a code of their own or not at all, a
// drain, batch jobs, restarts by hand, a slow start and a container that idles in bursts, all on the live engine. `make show-quiet` runs it.
func TestWhatPeopleDoOnPurposePagesNobody(t *testing.T) {
	if os.Getenv("PLIMSOLL_SHOW") != "quiet" {
		t.Skip("takes two minutes: make show-quiet; the rules' own tests and fleettest show the same on made-up series")
	}
	requireDocker(t)
	require(t, os.Geteuid() == 0, "needs root: the agent reads every container's counters")
	hook := newWebhook(t)
	agentBinary, collectorBinary := buildPrograms(t)
	address := freePort(t)
	collector := start(t, "collector", "http://"+address, collectorBinary, "--listen="+address, "--data-dir="+t.TempDir(), "--oncall="+oncallPage(t, hook.URL))
	collector.waitReady(t)
	agentAddress := freePort(t)
	agent := start(t, "agent", "http://"+agentAddress, agentBinary, "--listen="+agentAddress, "--data-dir="+t.TempDir(), "--interval="+interval.String(),
		"--remote-write.url="+collector.url+"/api/v1/write", "--idc="+idc, "--cluster="+cluster, "--node="+node)
	agent.waitReady(t)

	project := fmt.Sprintf("quiet-%06x", rand.N(1<<24))
	begin := func(service string, i int, args ...string) container {
		labels := []string{"--label=project=" + project, "--label=com.docker.compose.project=" + project, "--label=com.docker.compose.service=" + service}
		return run(t, fmt.Sprintf("%s-%s-%d", project, service, i), append(labels, args...)...)
	}
	const (
		ownCode = `trap "exit 3" TERM; while :; do sleep 0.2; done`
		deaf    = `trap "" TERM; while :; do sleep 0.2; done`
	)
	var web, api []container
	for i := range 4 {
		web = append(web, begin("web", i, image, "sh", "-c", []string{ownCode, deaf}[i%2]))
		api = append(api, begin("api", i, image, "sleep", "600"))
	}
	restarted := begin("cache", 0, image, "sh", "-c", ownCode)
	begin("bursty", 0, "--cpus=0.1", image, "sh", "-c", "while :; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 4; done")
	begin("slow", 0, "--health-cmd=test -e /tmp/ready", "--health-interval=1s", "--health-start-period=30s", image, "sh", "-c", "sleep 8; touch /tmp/ready; sleep 600")
	time.Sleep(3 * interval)

	for i, old := range web { // one after the other, the new one first
		begin("web", 10+i, image, "sh", "-c", ownCode)
		docker(t, "stop", "-t", "1", old.id)
		docker(t, "rm", old.id)
	}
	for range 4 {
		docker(t, "restart", "-t", "1", restarted.id)
	}
	docker(t, "kill", "-s", "HUP", restarted.id)
	docker(t, "pause", restarted.id)
	docker(t, "unpause", restarted.id)
	for i := range 3 {
		job := begin("report", i, "--memory=64m", image, "sh", "-c", "x=$(head -c 30000000 /dev/zero | tr '\\0' x); i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done")
		docker(t, "wait", job.id)
	}
	drained := []string{"rm", "-f"}
	for _, c := range api {
		drained = append(drained, c.id)
	}
	docker(t, drained...)
	for i := range api {
		begin("api", 10+i, image, "sleep", "600")
	}
	time.Sleep(45 * time.Second) // a round, an evaluation of every group, a notification

	for _, n := range hook.received() {
		if n.Labels["project"] == project {
			t.Errorf("paged by %v: %s", n.Labels, n.Annotations["summary"])
		}
	}
	reasons := map[string]int{}
	ends, err := exitsOf(&pair{collector: collector}, project)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range ends {
		reasons[e.Reason]++
	}
	if reasons["stopped"] < len(web)+4+len(api) || reasons["completed"] != 3 || reasons["error"]+reasons["signalled"] != 0 {
		t.Errorf("exits by reason: %v", reasons)
	}
	t.Logf("exits by reason: %v; 0 notifications", reasons)

	// The same program that ends of its own does page.
	begin("crashes", 0, image, "sh", "-c", "sleep 6; exit 3")
	eventually(t, 30*time.Second, "a crash pages", func() error {
		_, err := hook.find("ContainerCrashed", "firing", map[string]string{"project": project, "workload": "crashes"})
		return err
	})
}

// received are all notifications so far.
func (w *webhook) received() []notification {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.all)
}
