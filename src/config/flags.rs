//! The flags of the settings table, and kube-vip's flags that set nothing here, for clap.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

use super::foreign::{self, Form};
use super::layers::{FROM_KUBESPRAY, Flags};
use super::setting::{Name, Spec, Status};
use super::table;

/// Every flag of `vipcast run`. `#[command(flatten)]` it where the same inputs are wanted.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RunArgs {
    /// The flags that were given.
    pub flags: Flags,
}

impl Args for RunArgs {
    fn augment_args(command: Command) -> Command {
        command.args(args())
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for RunArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut args = Self::default();
        args.update_from_arg_matches(matches)?;
        Ok(args)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        let given = names().filter_map(|name| {
            let text = matches.try_get_one::<String>(name).ok().flatten()?;
            Some((name.to_owned(), text.clone()))
        });
        self.flags.0.extend(given);
        let files = matches.try_get_many::<String>(FROM_KUBESPRAY).ok().flatten().into_iter().flatten();
        self.flags.0.extend(files.map(|path| (FROM_KUBESPRAY.to_owned(), path.clone())));
        Ok(())
    }
}

/// Specs whose flags exist.
fn specs() -> impl Iterator<Item = &'static Spec> {
    [&table::CONFIG_FILE.spec].into_iter().chain(table::ALL.iter().copied())
}

fn names() -> impl Iterator<Item = &'static str> {
    let ours = specs().flat_map(|spec| spec.flags.iter().map(|name| name.text));
    ours.chain(foreign::ALL.iter().flat_map(|row| row.flags.iter().copied()))
}

fn args() -> impl Iterator<Item = Arg> {
    let ours =
        specs().flat_map(|spec| spec.flags.iter().enumerate().map(move |(at, name)| setting(spec, name, at)));
    ours.chain(foreign::ALL.iter().flat_map(|row| row.flags.iter().map(|name| ignored(name, row.form))))
        .chain([from_kubespray()])
}

fn from_kubespray() -> Arg {
    Arg::new(FROM_KUBESPRAY)
        .long(FROM_KUBESPRAY)
        .action(ArgAction::Append)
        .num_args(1..)
        .value_name("FILE")
        .help("files of Kubespray's variables (group_vars, YAML inventory); a later one wins over an earlier one")
        .help_heading("kubespray")
}

fn setting(spec: &'static Spec, name: &'static Name, at: usize) -> Arg {
    let env = spec.env.first().map(|name| format!(" [env: {}]", name.text)).unwrap_or_default();
    let unset = spec.default.unwrap_or(spec.otherwise);
    let arg = form(name.text, spec.is_switch())
        .help(format!("{}{env} [default: {unset}]", spec.help))
        .help_heading(spec.section())
        .hide(at > 0 || name.status == Status::Deprecated);
    match spec.short.filter(|_| at == 0) {
        Some(letter) => arg.short(letter),
        None => arg,
    }
}

fn ignored(name: &'static str, form_of: Form) -> Arg {
    let arg = form(name, form_of == Form::Switch).hide(true);
    if name == "configMap" { arg.short('c') } else { arg }
}

/// As pflag reads it: a switch takes a value only after `=`, everything else also as the next word.
fn form(name: &'static str, switch: bool) -> Arg {
    let arg = Arg::new(name).long(name).action(ArgAction::Set).value_name("VALUE");
    if switch {
        arg.num_args(0..=1).require_equals(true).default_missing_value("true").value_name("BOOL")
    } else {
        arg.allow_hyphen_values(true)
    }
}
