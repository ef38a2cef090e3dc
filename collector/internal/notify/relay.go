package notify

import (
	"github.com/prometheus/client_golang/prometheus"
)

// relay shows Alertmanager's own counters under the collector's names, summed over what we do not tell apart.
type relay struct {
	from     prometheus.Gatherer
	families map[string]relayed
}

type relayed struct {
	desc   *prometheus.Desc
	labels []string // of Alertmanager's metric, in the order of desc
}

func newRelay(from prometheus.Gatherer) *relay {
	perReceiver := func(name, help string) relayed {
		return relayed{
			desc:   prometheus.NewDesc(name, help, []string{"receiver", "integration"}, nil),
			labels: []string{"receiver_name", "integration"},
		}
	}
	return &relay{from: from, families: map[string]relayed{
		"alertmanager_notifications_total": perReceiver("plimsoll_collector_notifications_total",
			"Notifications attempted."),
		"alertmanager_notifications_failed_total": perReceiver("plimsoll_collector_notifications_failed_total",
			"Notifications given up after all retries."),
		"alertmanager_notification_requests_total": perReceiver("plimsoll_collector_notification_requests_total",
			"Requests sent to receivers, retries included."),
		"alertmanager_notification_requests_failed_total": perReceiver("plimsoll_collector_notification_requests_failed_total",
			"Requests to receivers that failed, retries included."),
		"alertmanager_alerts_limited_total": {desc: prometheus.NewDesc("plimsoll_collector_notify_alerts_dropped_total",
			"Alerts dropped because there are too many of one name.", nil, nil)},
	}}
}

func (r *relay) Describe(to chan<- *prometheus.Desc) {
	for _, f := range r.families {
		to <- f.desc
	}
}

func (r *relay) Collect(to chan<- prometheus.Metric) {
	families, err := r.from.Gather()
	if err != nil {
		to <- prometheus.NewInvalidMetric(prometheus.NewDesc("plimsoll_collector_notifications", "Not readable.", nil, nil), err)
	}
	for _, family := range families {
		into, ok := r.families[family.GetName()]
		if !ok {
			continue
		}
		sums := map[[2]string]float64{}
		for _, m := range family.GetMetric() {
			var key [2]string
			for i, name := range into.labels {
				for _, l := range m.GetLabel() {
					if l.GetName() == name {
						key[i] = l.GetValue()
					}
				}
			}
			sums[key] += m.GetCounter().GetValue()
		}
		for key, sum := range sums {
			to <- prometheus.MustNewConstMetric(into.desc, prometheus.CounterValue, sum, key[:len(into.labels)]...)
		}
	}
}
