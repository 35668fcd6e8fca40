package main

import (
	"fmt"
	"os/exec"
	"strings"
)

// What happens to a packet in our chain: known connections pass; what the node's own root sends passes (probes,
// webhooks); a first packet from or to a pod is judged. The mangle table sees it after DNAT and before SNAT, that is
// with the addresses of pods. On the way into the node itself only the sender can be a pod: a cluster of one node
// has its API server there, and tests want to see that refused.
const table = `*mangle
:POD-FORWARD - [0:0]
-A POD-FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN
-A POD-FORWARD -m owner --uid-owner 0 -j RETURN
-A POD-FORWARD -s {network} -j NFQUEUE --queue-num {queue}
-A POD-FORWARD -d {network} -j NFQUEUE --queue-num {queue}
:POD-NODE - [0:0]
-A POD-NODE -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN
-A POD-NODE -s {network} -j NFQUEUE --queue-num {queue}
COMMIT
`

var hooks = map[string]string{"POSTROUTING": "POD-FORWARD", "INPUT": "POD-NODE"}

// steer writes the chains anew and hooks them in once.
func steer(network string) error {
	rules := strings.NewReplacer("{network}", network, "{queue}", fmt.Sprint(queue)).Replace(table)
	if err := tables(rules, "iptables-restore", "--wait", "10", "--noflush"); err != nil {
		return err
	}
	for hook, chain := range hooks {
		rule := []string{hook, "--jump", chain}
		if tables("", "iptables", append([]string{"--wait", "10", "--table", "mangle", "--check"}, rule...)...) == nil {
			continue
		}
		if err := tables("", "iptables", append([]string{"--wait", "10", "--table", "mangle", "--append"}, rule...)...); err != nil {
			return err
		}
	}
	return nil
}

func tables(input, program string, arguments ...string) error {
	command := exec.Command(program, arguments...)
	command.Stdin = strings.NewReader(input)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(string(output)))
	}
	return nil
}
