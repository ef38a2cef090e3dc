// Reads what agents ship about their own trouble and says it as `plimsoll-agent doctor` would: what is the matter, and what to do.
import { apiData } from './api.js';

/** Metrics that tell trouble: below is those whose 0 does, above those whose anything else does. */
const BELOW = ['source_up', 'project_map_valid'];
const ABOVE = ['spool_degraded', 'identity_missing', 'identity_conflict', 'containers_unassigned', 'containers_contradictory', 'containers_unresolved', 'cgroups_refused', 'cgroups_not_held', 'shedding'];

const QUERY = `{__name__=~"plimsoll_agent_(${BELOW.join('|')})"} == 0 or {__name__=~"plimsoll_agent_(${ABOVE.join('|')})"} > 0`;

const SOURCES = {
  cgroup: ['The cgroup tree can not be read', 'Nothing is measured there: check --root.cgroup and the mount.'],
  docker: ['Docker does not answer', 'Containers have no names, health or restarts from it: check --docker.host and the socket’s permissions.'],
  kubernetes: ['The Kubernetes API does not answer', 'Pods keep what was known: check the agent’s service account and the network to the API server.'],
  swarm: ['The Swarm can not be asked', 'Desired replicas are missing: only managers can tell them.'],
};

/** say gives {what, todo} for one series: its labels and its value. */
export function say({ __name__: name, source, label, what: left }, value) {
  switch (name.replace('plimsoll_agent_', '')) {
    case 'source_up': {
      const [what, todo] = SOURCES[source] ?? [`The source ${source} is degraded`, 'plimsoll-agent doctor on the node says why.'];
      return { what, todo };
    }
    case 'project_map_valid': return { what: 'The project map is broken', todo: 'The last good one is in use: plimsoll-agent project-map test says the line.' };
    case 'spool_degraded': return { what: 'The spool can not write', todo: 'Samples wait in memory and are lost with the agent: check the disk of --data-dir.' };
    case 'identity_missing': return { what: `The node has no ${label}`, todo: `Give --${label}, or label the node or the engine.` };
    case 'identity_conflict': return { what: `Sources disagree about its ${label}`, todo: 'plimsoll-agent doctor names them; a flag decides.' };
    case 'containers_unassigned': return { what: `${value} ${value === 1 ? 'container belongs' : 'containers belong'} to no project`, todo: 'Label them, or write a rule of the project map.' };
    case 'containers_unresolved': return { what: `${value} ${value === 1 ? 'container has' : 'containers have'} no name yet`, todo: 'For more than a moment: does the runtime that started them answer this agent?' };
    case 'shedding': return { what: `It leaves out ${left}`, todo: 'It keeps within --limit.cpu and --limit.memory: raise them, or watch fewer groups.' };
    case 'containers_contradictory': return { what: `Labels of two runtimes claim ${value} ${value === 1 ? 'container' : 'containers'}`, todo: 'plimsoll-agent project-map test says for each which one counts.' };
    case 'cgroups_refused': return { what: `${value} cgroups are past the limit`, todo: 'They are not shown.' };
    case 'cgroups_not_held': return { what: `${value} cgroups are read by opening files anew`, todo: 'The limit of open files is reached: raise LimitNOFILE.' };
    default: return { what: `${name} is ${value}`, todo: 'METRICS.md says what it means.' };
  }
}

/** readFindings gives [{node: {idc, cluster, node}, what, todo}] of all nodes; none where the collector can not say. */
export async function readFindings() {
  const data = await apiData('/api/v1/query', { query: QUERY, time: Date.now() / 1000 }).catch(() => null);
  return (data?.result ?? []).map(({ metric, value }) => ({ node: metric, ...say(metric, Number(value[1])) }));
}
