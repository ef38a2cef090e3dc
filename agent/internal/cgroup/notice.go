package cgroup

// NoticeTree is the directory of the hierarchy in which the kernel tells of births and deaths: the unified one where there is one, as its
// cgroups have a cgroup.events that tells when the last process has left (populated), else the first v1 controller.
func (f FS) NoticeTree() (dir string, populated bool) {
	if dir = f.mounts[unified]; dir != "" {
		return dir, true
	}
	for _, dir = range f.mounts {
		if dir != "" {
			return dir, false
		}
	}
	return "", false
}
