//! The documentation of every setting, from the settings table.

use std::fmt::Write;

use crate::config::foreign::{self, Fate, Said};
use crate::config::setting::{Kind, Name, Spec, Status};
use crate::config::table::{ALL, CONFIG_FILE};

/// `docs/configuration.md`.
#[must_use]
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    let mut section = "";
    for spec in ALL {
        if spec.section() != section {
            page.push_str(&lists(section));
            section = spec.section();
            let _ = write!(page, "\n### {section}\n\n{COLUMNS}");
        }
        page.push_str(&row(spec));
    }
    let _ = write!(page, "\n### The file itself\n\n{COLUMNS}");
    page.push_str(&row(&CONFIG_FILE.spec).replacen("`config`", "-", 1));
    page.push_str(FOREIGN);
    page.push_str(&unbuilt());
    page.push_str(MOOT);
    page.push_str(&moot());
    page.push_str(RIDERS);
    page.push_str(&riders());
    page
}

/// The fields of the mappings in a section's lists.
fn lists(section: &str) -> String {
    let mut text = String::new();
    for spec in ALL.iter().filter(|spec| spec.section() == section) {
        if let Kind::Records(fields) = spec.kind {
            let heading = capitalised(&fields.what.replace('-', " "));
            let _ = write!(text, "\n#### {heading}\n\nA mapping in `{}`.\n\n{FIELD_COLUMNS}", spec.key);
            fields.all.iter().for_each(|field| text.push_str(&field_row(field)));
        }
    }
    text
}

fn field_row(spec: &Spec) -> String {
    let (default, meaning) = (unset(spec), meaning(spec));
    format!("| `{}` | {default} | {meaning} |\n", spec.key)
}

fn row(spec: &Spec) -> String {
    let (default, meaning) = (unset(spec), meaning(spec));
    let short = spec.short.map(|letter| format!(", `-{letter}`")).unwrap_or_default();
    format!(
        "| `{}` | {} | {}{short} | {default} | {meaning} |\n",
        spec.key,
        listed(spec.env, ""),
        listed(spec.flags, "--"),
    )
}

fn unset(spec: &Spec) -> String {
    spec.default.map_or_else(|| spec.otherwise.to_owned(), |default| format!("`{default}`"))
}

fn meaning(spec: &Spec) -> String {
    format!("{}. {}", capitalised(spec.help), capitalised(&spec.kind.describe()))
}

fn listed(names: &[Name], dashes: &str) -> String {
    let one = |name: &Name| match name.status {
        Status::Current => format!("`{dashes}{}`", name.text),
        Status::Deprecated => format!("`{dashes}{}` (deprecated)", name.text),
    };
    names.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn unbuilt() -> String {
    let mut rows = String::new();
    for row in foreign::ALL {
        if let Fate::Unbuilt { feature, fix, .. } = row.fate {
            let _ = writeln!(rows, "| {} | {feature} | {fix} |", foreign_names(row));
        }
    }
    rows
}

fn moot() -> String {
    let mut rows = String::new();
    for row in foreign::ALL {
        if let Fate::Moot { said, why, .. } = row.fate {
            let value = match said {
                Said::On => "true",
                Said::Off => "false",
            };
            let _ = writeln!(
                rows,
                "| {} | {value} | {} |",
                foreign_names(row),
                why.trim_start_matches("no effect: ")
            );
        }
    }
    rows
}

fn riders() -> String {
    let rows = foreign::ALL.iter().filter(|row| matches!(row.fate, Fate::Rider));
    let mut names: Vec<_> = rows.map(foreign_names).collect();
    names.push(String::new());
    names.join(",\n").trim_end_matches(",\n").to_owned() + ".\n"
}

fn foreign_names(row: &foreign::Foreign) -> String {
    let env = row.env.iter().map(|name| format!("`{name}`"));
    env.chain(row.flags.iter().map(|name| format!("`--{name}`"))).collect::<Vec<_>>().join(", ")
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

const HEAD: &str = "\
<!-- Written by `vipcast config --markdown`. Do not edit: change the settings table and run it again. -->

# Configuration

A control-plane VIP needs no more than this; interface, prefix length, port, node name and API server are found:

```sh
address=192.0.2.10 vip_arp=true cp_enable=true vipcast run
```

Settings come from flags, environment variables and a YAML (or JSON) file. A **flag beats the environment, the
environment beats the file**, the file beats the default. (In kube-vip the environment beats the flags. Where both are
set and differ, check which one you mean.) Flags and variables have kube-vip's names wherever kube-vip has one, so that
its manifests work as they are; the file has a schema of its own, [config.schema.json](config.schema.json), and an
example in [examples/config.yaml](../examples/config.yaml), one for BGP in
[examples/bgp.yaml](../examples/bgp.yaml), and one for Services in [examples/services.yaml](../examples/services.yaml).

In place of the file, `--from-kubespray` reads [Kubespray's variables](kubespray.md), which stand between the environment and the
defaults.

`vipcast config`, with the flags and the environment of the daemon, prints what is in effect and where each value came
from; `-o yaml` prints it as a file that says the same.

A wrong value is never corrected: the daemon says everything that is wrong at once, each with the name, the value, the
reason and what to write instead, and exits with code 2. An unknown variable that begins like one of ours (`vip_`, `cp_`,
`svc_`, `bgp_`, `mpbgp_`, `annotat`, `lb_`, `egress_`, `prometheus_`, `control_plane_`, `vipcast_`) is named with the nearest
known name and otherwise ignored; a setting of BGP that has no effect beside the others is named as well; an unknown flag, and an unknown key in the file, is an error.

## How values are written

- **Not set**: an empty or blank value, `None`, `null` and `~` mean the same as no value at all, because templates write
  them. (One exception: an empty `--prometheusHTTPServer` or `admin.metrics` switches metrics off, as in kube-vip.)
- **Switches**: `1 t T TRUE true True` and `0 f F FALSE false False`. A flag alone means true; false is `--arp=false`.
  `--multihop` and `--bgp-multihop` are switches that take a number as well: `--multihop=3`.
- **Durations**: whole seconds, or a number with a unit: `250ms`, `3s`, `1m`, `1h`. `vip_arpRate` counts milliseconds
  where it has no unit.
- **Prefix lengths**: `32`, `/32`, `32,128` (IPv4 first) or `auto`, which is 32 and 128. One field of at most 32 is taken for IPv4 only, and IPv6
  VIPs get /128: deployers write `32` whatever the family, and kube-vip would then put /32 on an IPv6 address.
- **Log levels**: by name, or kube-vip's numbers (-8 trace, -4 debug, 0 info, 4 warn, 8 error). 5 and 6 were debug and
  trace in kube-vip before it changed its scale, and still are here. 4, info on that old scale, is warn.
- **Names for addresses** are not supported yet: give the address.
- **AS numbers**: asplain (`4200000000`) or asdot (`64086.59904`).
- **Lists**: with commas; in the file also as a YAML list. Lists of mappings, such as `bgp.peers`, are YAML or JSON in every
  place: `bgp_peers='[{address: 192.0.2.1, as: 65001}]'`.
- **Passwords** are shown nowhere: not by `vipcast config`, and not in a message about them. In kube-vip's text of `bgp_peers` a
  separator too many makes a part of a password into something else: a message names the number of the peer (from 0) and the field, and shows
  nothing of the text but IP addresses and AS numbers.

`$KUBECONFIG` and `$HOME` have their usual meaning where no kubeconfig is named. A Lease name `namespace/name` stands
before `cp_namespace`.

## Timings

`vip_leaseduration` > `vip_renewdeadline` ≥ 2 × `vip_retryperiod`, all in whole seconds, and `layer2.addressLifetime` at most
`vip_leaseduration`. A crash is noticed after the lease duration; 5, 3 and 1 are sensible on a LAN with a quick etcd.

## BGP

A VIP that routers lead to needs, in place of `vip_arp`, the routers and their AS numbers:

```sh
address=192.0.2.10 cp_enable=true bgp_enable=true bgp_as=65000 bgp_peers=198.51.100.1:65001,198.51.100.2:65001 vipcast run
```

- **Who announces**: every node whose API server is healthy, and routers choose (ECMP); with `vip_leaderelection=true` only the holder of the
  Lease. With `vip_arp=true` as well it is always the holder. The VIP is bound to `lo`, unless ARP puts it on an interface.
- **`bgp_peers`** is kube-vip's `address:AS:password:multihop:port:mpbgp:bfd`, where everything after the AS number may be absent: the last fields are told
  apart by what they look like, with a port as its code has it and without as its pages do. IPv6 addresses stand in brackets,
  also that of `mpbgp_ipv6`. The port counts (kube-vip always
  takes 179). BFD's intervals are milliseconds, as kube-vip says; numbers that look like the microseconds that it takes them for are refused.
  What this cannot say (passwords with colons, communities, passwords from elsewhere) is said by a list of mappings.
- **Router ID**: the node's, found, and never the same on two nodes; `None`, as Kubespray renders it, is not set. A node without IPv4 has one made of its name;
  so has one whose `bgp_routerinterface` does not exist or has no IPv4 address, and the log says so.
- **Hold time and keepalive**: a keepalive that is more than a third of the hold time is refused. Without one, and where
  a router wants a shorter hold time, it is a third of what is agreed on.
- **Passwords** (TCP MD5, or TCP-AO with `tcpAo.sendId`) are better in a file or in a Kubernetes Secret than in the environment, where
  everybody sees them who may read the manifest. A change of the file or the Secret counts without a restart.
- **Node annotations**: with `annotation=bgp.kube-vip.io` the Node's annotations `bgp.kube-vip.io/node-asn`, `/src-ip`, `/peer-ip`, `/peer-asn`,
  `/bgp-pass` (base64) and `/peer-multi-hop`, also as `/bgp-peers-0-peer-ip` and so on, say what is different on this node, and are followed while they
  change. A number has an AS number, a password and a distance of its own, where it has one; else those of number 0, then those without a number.
- **What is said of VIPs** comes from all peers, then from the peer, then from the group of addresses with the longest prefix: communities of all three
  are sent, of everything else the last one counts.
- **GTSM** together with `multihop: N` takes packets from routers at most N links away (TTL 256 - N and more).

```yaml
bgp:
  enabled: true
  localAs: 4200000001
  bfd: {enabled: true}
  passwordSecret: {name: routers}
  communities: [65000:100]
  peers:
    - {address: 198.51.100.1, as: 65001}
    - {address: '2001:db8:1::1', as: 65001, families: [ipv4, ipv6], med: 50}
    - {interface: eth1, as: external}           # found by its router advertisements
  addressGroups:
    - prefixes: 192.0.2.10
      largeCommunities: 4200000001:1:1
  drain: {wait: 2s, communication: node is drained}
```

## Services

Services of type LoadBalancer get addresses and are announced with

```sh
svc_enable=true vip_arp=true vipcast_services_distribution=spread vipcast_services_pools='[{name: lan, addresses: 192.0.2.64/26}]' vipcast run
```

with or without a control-plane VIP beside them. [Services](services.md) says what each way to distribute does, where pools come from, and how to move
here from kube-vip and MetalLB. **All nodes have to have the same `services.distribution`**: its default is kube-vip's `lease`, wherever Services are
switched on, and `everyNode` where only BGP announces.

## Settings
";

const COLUMNS: &str = "| key in the file | environment | flag | default | meaning |\n|---|---|---|---|---|\n";

const FIELD_COLUMNS: &str = "| key | default | meaning |\n|---|---|---|\n";

const FOREIGN: &str = "
## Names of kube-vip's that are not settings

Switching one of these on is refused by name, because the daemon would not do what was asked for:

| name | not built into this version | instead |
|---|---|---|
";

const MOOT: &str = "
These are accepted and change nothing; the reason is said in the log when they have this value:

| name | value | why |
|---|---|---|
";

const RIDERS: &str = "
These are of no use here while the features that they belong to are off. They are accepted, ignored, and named in one line of the log:

";
