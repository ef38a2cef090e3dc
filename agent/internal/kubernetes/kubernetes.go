// Package kubernetes tells which containers the pods of this node run, and from one elected agent what the cluster is made of.
package kubernetes
