package main

import "github.com/plimsoll/plimsoll/dashboards/internal/board"

// Every figure at which a panel changes colour or draws a line. Where an alert of alerts/ has the same meaning it is
// named, and its rule has the same figure.
const (
	nearLimit   = 0.90 // ContainerMemoryNearLimit
	closeLimit  = 0.75 // worth a look before the alert
	fullSite    = 0.90
	busySite    = 0.75
	throttled   = 0.25 // ContainerCPUThrottlingHurts, share of the periods
	cpuWait     = 0.50 // ContainerCPUStarved, share of the time
	memoryStall = 0.10 // ContainerMemoryStall, share of the time
	ioStall     = 0.20 // ContainerIOStall, share of the time
	netErrors   = 0.01 // ContainerNetworkErrors, share of the packets
	allNodes    = 0.98 // below it the page cannot be trusted
	mostNodes   = 0.90
	lateSeconds = 60.0
	silentAfter = "3m"  // AgentAbsent: a node that sent nothing for so long is silent
	recently    = "24h" // the window of the event counts
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
