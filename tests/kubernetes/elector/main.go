// Command elector plays kube-vip for the tests: client-go's own leader election on the same Lease, and the same VIP on
// the same interface. It releases the Lease before it takes the address off, as kube-vip does, and announces at once and
// then every three seconds.
//
// Nothing here is shared with vipcast: that the two exclude each other is what the tests show.
package main

import (
	"context"
	"encoding/binary"
	"flag"
	"log"
	"math/bits"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

type candidate struct {
	link netlink.Link
	vip  *netlink.Addr
}

func main() {
	kubeconfig := flag.String("kubeconfig", "/etc/kubernetes/admin.conf", "credentials")
	server := flag.String("server", "https://127.0.0.1:6443", "API server, in place of the kubeconfig's")
	namespace := flag.String("namespace", "kube-system", "namespace of the Lease")
	name := flag.String("lease", "plndr-cp-lock", "name of the Lease")
	identity := flag.String("identity", "", "what is written into holderIdentity")
	vip := flag.String("vip", "", "IPv4 address to hold")
	device := flag.String("interface", "eth0", "interface that carries it")
	duration := flag.Duration("lease-duration", 5*time.Second, "")
	deadline := flag.Duration("renew-deadline", 3*time.Second, "")
	period := flag.Duration("retry-period", time.Second, "")
	flag.Parse()

	link, err := netlink.LinkByName(*device)
	must(err)
	address, err := netlink.ParseAddr(*vip + "/32")
	must(err)
	// The previous life's address goes before anything else, as in kube-vip's control-plane mode.
	one := candidate{link: link, vip: address}
	one.drop()

	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	must(err)
	config.Host = *server
	config.TLSClientConfig.ServerName = "kubernetes"
	lock := &resourcelock.LeaseLock{
		LeaseMeta:  metav1.ObjectMeta{Namespace: *namespace, Name: *name},
		Client:     kubernetes.NewForConfigOrDie(config).CoordinationV1(),
		LockConfig: resourcelock.ResourceLockConfig{Identity: *identity},
	}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	leaderelection.RunOrDie(stop, leaderelection.LeaderElectionConfig{
		Lock:            lock,
		LeaseDuration:   *duration,
		RenewDeadline:   *deadline,
		RetryPeriod:     *period,
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: one.hold,
			OnStoppedLeading: one.drop,
		},
	})
	if stop.Err() == nil {
		log.Print("leadership lost")
		os.Exit(1)
	}
}

// hold puts the address on the interface and announces it until the lead is lost.
func (c candidate) hold(lead context.Context) {
	if err := netlink.AddrReplace(c.link, c.vip); err != nil {
		log.Fatal(err)
	}
	log.Print("holding ", c.vip.IP)
	for {
		if err := c.announce(); err != nil {
			log.Print(err)
		}
		select {
		case <-lead.Done():
			return
		case <-time.After(3 * time.Second):
		}
	}
}

func (c candidate) drop() {
	if err := netlink.AddrDel(c.link, c.vip); err == nil {
		log.Print("dropped ", c.vip.IP)
	}
}

// announce sends one gratuitous ARP request (RFC 5944, section 4.6).
func (c candidate) announce() error {
	attributes := c.link.Attrs()
	protocol := bits.ReverseBytes16(syscall.ETH_P_ARP) // in network order
	socket, err := syscall.Socket(syscall.AF_PACKET, syscall.SOCK_DGRAM, int(protocol))
	if err != nil {
		return err
	}
	defer syscall.Close(socket)
	everybody := net.HardwareAddr{255, 255, 255, 255, 255, 255}
	packet := binary.BigEndian.AppendUint16(nil, 1) // Ethernet
	packet = binary.BigEndian.AppendUint16(packet, syscall.ETH_P_IP)
	packet = append(packet, 6, 4, 0, 1) // lengths, request
	packet = append(packet, attributes.HardwareAddr...)
	packet = append(packet, c.vip.IP.To4()...)
	packet = append(packet, everybody...)
	packet = append(packet, c.vip.IP.To4()...)
	to := syscall.SockaddrLinklayer{Protocol: protocol, Ifindex: attributes.Index, Halen: 6}
	copy(to.Addr[:], everybody)
	return syscall.Sendto(socket, packet, 0, &to)
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
