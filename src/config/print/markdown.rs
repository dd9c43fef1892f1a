//! The documentation of every setting, from the settings table.

use std::fmt::Write;

use crate::config::foreign::{self, Fate, Said};
use crate::config::setting::{Name, Spec, Status};
use crate::config::table::{ALL, CONFIG_FILE};

/// `docs/configuration.md`.
#[must_use]
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    let mut section = "";
    for spec in ALL {
        if spec.section() != section {
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

fn row(spec: &Spec) -> String {
    let default = spec.default.map_or_else(|| spec.otherwise.to_owned(), |default| format!("`{default}`"));
    let short = spec.short.map(|letter| format!(", `-{letter}`")).unwrap_or_default();
    format!(
        "| `{}` | {} | {}{short} | {default} | {}. {} |\n",
        spec.key,
        listed(spec.env, ""),
        listed(spec.flags, "--"),
        capitalised(spec.help),
        capitalised(&spec.kind.describe()),
    )
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
example in [examples/config.yaml](../examples/config.yaml).

In place of the file, `--from-kubespray` reads [Kubespray's variables](kubespray.md), which stand between the environment and the
defaults.

`vipcast config`, with the flags and the environment of the daemon, prints what is in effect and where each value came
from; `-o yaml` prints it as a file that says the same.

A wrong value is never corrected: the daemon says everything that is wrong at once, each with the name, the value, the
reason and what to write instead, and exits with code 2. An unknown variable that begins like one of ours (`vip_`, `cp_`,
`svc_`, `bgp_`, `lb_`, `egress_`, `prometheus_`, `control_plane_`, `vipcast_`) is named with the nearest known name and
otherwise ignored; an unknown flag, and an unknown key in the file, is an error.

## How values are written

- **Not set**: an empty or blank value, `None`, `null` and `~` mean the same as no value at all, because templates write
  them. (One exception: an empty `--prometheusHTTPServer` or `admin.metrics` switches metrics off, as in kube-vip.)
- **Switches**: `1 t T TRUE true True` and `0 f F FALSE false False`. A flag alone means true; false is `--arp=false`.
- **Durations**: whole seconds, or a number with a unit: `250ms`, `3s`, `1m`, `1h`. `vip_arpRate` counts milliseconds
  where it has no unit.
- **Prefix lengths**: `32`, `/32`, `32,128` (IPv4 first) or `auto`, which is 32 and 128. One field of at most 32 is taken for IPv4 only, and IPv6
  VIPs get /128: deployers write `32` whatever the family, and kube-vip would then put /32 on an IPv6 address.
- **Log levels**: by name, or kube-vip's numbers (-8 trace, -4 debug, 0 info, 4 warn, 8 error). 5 and 6 were debug and
  trace in kube-vip before it changed its scale, and still are here. 4, info on that old scale, is warn.
- **Names for addresses** are not supported yet: give the address.

`$KUBECONFIG` and `$HOME` have their usual meaning where no kubeconfig is named. A Lease name `namespace/name` stands
before `cp_namespace`.

## Timings

`vip_leaseduration` > `vip_renewdeadline` ≥ 2 × `vip_retryperiod`, all in whole seconds, and `layer2.addressLifetime` at most
`vip_leaseduration`. A crash is noticed after the lease duration; 5, 3 and 1 are sensible on a LAN with a quick etcd.

## Settings
";

const COLUMNS: &str = "| key in the file | environment | flag | default | meaning |\n|---|---|---|---|---|\n";

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
