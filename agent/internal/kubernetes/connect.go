package kubernetes

import (
	"errors"
	"fmt"
	"os"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Mode says whether the API server is asked.
type Mode string

// The modes.
const (
	Auto Mode = "auto" // if there is a service account or a kubeconfig
	On   Mode = "on"   // it is an error if there is neither
	Off  Mode = "off"
)

// ParseMode checks the word.
func ParseMode(word string) (Mode, error) {
	switch m := Mode(word); m {
	case Auto, On, Off:
		return m, nil
	default:
		return "", fmt.Errorf("%q: use auto, on or off", word)
	}
}

const (
	userAgent           = "plimsoll-agent"
	protobuf            = "application/vnd.kubernetes.protobuf"
	namespaceFile       = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"
	requestsPerSecond   = 10 // sustained; a start asks once per ReplicaSet of the node
	requestsAtOnce      = 50
	fallbackNamespace   = "default"
	lookedForInAutoMode = "neither a service account in this pod nor --kubernetes.kubeconfig"
)

// connection finds the API server and the namespace the agent is at home in.
func connection(mode Mode, kubeconfig string) (*rest.Config, string, error) {
	if mode == Off {
		return nil, "", ErrOff
	}
	var config *rest.Config
	var namespace string
	var err error
	if kubeconfig != "" {
		loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
			&clientcmd.ClientConfigLoadingRules{ExplicitPath: kubeconfig}, &clientcmd.ConfigOverrides{})
		if config, err = loader.ClientConfig(); err != nil {
			return nil, "", fmt.Errorf("kubeconfig %s: %w", kubeconfig, err)
		}
		if namespace, _, err = loader.Namespace(); err != nil {
			return nil, "", fmt.Errorf("kubeconfig %s: %w", kubeconfig, err)
		}
	} else {
		config, err = rest.InClusterConfig()
		switch {
		case errors.Is(err, rest.ErrNotInCluster) || errors.Is(err, os.ErrNotExist):
			if mode == Auto {
				return nil, "", fmt.Errorf("%w: %s", ErrOff, lookedForInAutoMode)
			}
			return nil, "", errors.New(lookedForInAutoMode)
		case err != nil:
			return nil, "", fmt.Errorf("service account of this pod: %w", err)
		}
		text, err := os.ReadFile(namespaceFile)
		if err != nil {
			return nil, "", fmt.Errorf("namespace of this pod: %w", err)
		}
		namespace = string(text)
	}
	if namespace == "" {
		namespace = fallbackNamespace
	}
	config = rest.CopyConfig(config)
	config.UserAgent = userAgent
	config.ContentType = protobuf
	config.AcceptContentTypes = protobuf + ",application/json"
	config.QPS, config.Burst = requestsPerSecond, requestsAtOnce
	return config, namespace, nil
}
