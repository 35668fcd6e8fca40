// netpol enforces NetworkPolicies on the node of a test cluster, with the engine that kind's published nodes carry.
//
// Two things differ from how that engine is usually run. It steers packets to itself with nftables, for which not
// every kernel has the queue statement; xtables has had one for longer. And it learns a pod's address from the API
// server, so a new pod would have a moment without its policy; here the CNI chain notes each address before the
// pod's first process runs (see the plugin pod-addresses), and that note is asked first.
package main

import (
	"context"
	"flag"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	engine "sigs.k8s.io/kube-network-policies/pkg/networkpolicy"
)

const queue = 100

func main() {
	network := flag.String("pod-network", "10.244.0.0/16", "addresses of pods")
	notes := flag.String("notes", "/run/pod-addresses", "folder of address notes")
	klog.InitFlags(nil)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := enforce(ctx, *network, *notes); err != nil && ctx.Err() == nil {
		klog.Fatal(err)
	}
}

func enforce(ctx context.Context, network, notes string) error {
	config, err := rest.InClusterConfig()
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	core := factory.Core().V1()
	// The engine reads its NRI helper without asking whether there is one: NRIdisabled must stay false. Where
	// containerd has no NRI that only logs.
	judge, err := engine.NewController(client, factory.Networking().V1().NetworkPolicies(), core.Namespaces(),
		notedPods{core.Pods(), notes}, nil, nil, nil, nil,
		engine.Config{QueueID: queue, NodeName: os.Getenv("NODE_NAME"), NFTableName: "netpol"})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	go steerWhenAsked(ctx, network)
	return judge.Run(ctx)
}

// steerWhenAsked sends packets to the queue; until someone reads it, new connections of pods wait (fail closed).
func steerWhenAsked(ctx context.Context, network string) {
	for ctx.Err() == nil {
		err := steer(network)
		if err == nil {
			return
		}
		klog.ErrorS(err, "packets are not steered yet")
		time.Sleep(time.Second)
	}
}
