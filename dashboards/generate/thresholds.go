package main

import "github.com/plimsoll/plimsoll/dashboards/internal/board"

// Every figure at which a panel changes colour or draws a line. Where an alert of alerts/ has the same meaning it is
// named, and its rule has the same figure.
const (
	nearLimit         = 0.90 // ContainerMemoryNearLimit
	closeLimit        = 0.75 // worth a look before the alert
	fullSite          = 0.90
	fullNodeMemory    = 0.92 // NodeMemoryPressure
	busySite          = 0.75
	throttled         = 0.25 // ContainerCPUThrottlingHurts, share of the periods
	cpuWait           = 0.50 // ContainerCPUStarved, share of the time
	memoryStall       = 0.10 // ContainerMemoryStall, share of the time
	ioStall           = 0.20 // ContainerIOStall, share of the time
	netErrors         = 0.01 // ContainerNetworkErrors, share of the packets
	nodeStall         = 0.05 // NodeMemoryPressure, share of the time
	fullDisk          = 0.95 // NodeFilesystemAlmostFull
	fillingDisk       = 0.85 // NodeFilesystemFillingUp
	clockOff          = 5    // NodeClockSkew, seconds
	farBehind         = 120  // AgentRemoteWriteBehind, seconds
	fullQuota         = 0.90 // ProjectQuotaNearlyFull
	budgetPace        = 14.4 // ProjectAvailabilityBudgetBurn, times the budget of 0.001
	cpuHeadroomLow    = 0.15 // ClusterCPUHeadroomLow
	memoryHeadroomLow = 0.10 // ClusterMemoryHeadroomLow
	fullIn30          = 0.85 // ClusterFullIn30Days, share of the cores
	forecastDays      = 14   // ClusterFullIn30Days, days that must have been seen
	fullSoonDays      = 30.0 // as far as ClusterFullIn30Days looks ahead
	idcUsableCPU      = 0.8  // idc:cpu_spare_cores
	idcUsableMemory   = 0.9  // idc:memory_spare_bytes

	chargedSeconds = 240   // project_cluster:cpu_charged_cores:max is recorded so often
	adviceDays     = 3     // workload_container:cpu_enough_cores
	censored       = 0.05  // workload_container:cpu_enough_cores, throttled in more of its periods a need does not show
	refusedShare   = 0.001 // CollectorSamplesRejected
	lateGroup      = 0.9   // RuleEvaluationLate
	agentCores     = 0.05  // what an agent may cost
	budgetWatch    = 0.25
	mostReplicas   = 0.90
	allNodes       = 0.98 // below it the page cannot be trusted
	mostNodes      = 0.90
	lateSeconds    = 60.0
	silentAfter    = "3m"  // AgentAbsent: a node that sent nothing for so long is silent
	recently       = "24h" // the window of the event counts
)

// noLimit is the value of a share of a limit where there is no limit; it is shown as the words "no limit".
const noLimit = "-1"

func noLimitText() []board.Text {
	return []board.Text{{Value: noLimit, Word: "no limit", Color: board.Grey}}
}

// good is green up to watch, orange from there, red from bad.
func good(watch, bad float64) board.Thresholds {
	return board.Thresholds{Base: board.Green, Steps: []board.Step{{From: watch, Color: board.Orange}, {From: bad, Color: board.Red}}}
}

// goodAbove is red, orange from poor, green from fine.
func goodAbove(poor, fine float64) board.Thresholds {
	return board.Thresholds{Base: board.Red, Steps: []board.Step{{From: poor, Color: board.Orange}, {From: fine, Color: board.Green}}}
}

// zeroIsGood is green at 0 and the given colour from 1 on.
func zeroIsGood(color string) board.Thresholds {
	return board.Thresholds{Base: board.Green, Steps: []board.Step{{From: 1, Color: color}}}
}

// line is a threshold that is drawn in a graph.
func line(at float64, color string) board.Thresholds {
	return board.Thresholds{Base: board.Green, Steps: []board.Step{{From: at, Color: color}}}
}
