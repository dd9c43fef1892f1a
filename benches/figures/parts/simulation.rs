//! Elector, core and announcer over thousands of seeds, with every fault at once.

use std::env;
use std::process::Command;

use crate::Plan;
use crate::figure::Figure;

pub(super) fn measure(plan: &Plan) -> anyhow::Result<Vec<Figure>> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["test", "--release", "-p", "vipcast-proto", "--test", "simulation", "--", "--nocapture"]);
    command.current_dir(env!("CARGO_MANIFEST_DIR")).env("VIPCAST_SEEDS", plan.seeds.to_string());
    eprintln!("    VIPCAST_SEEDS={} {command:?}", plan.seeds);
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let saw = said.lines().find(|line| line.contains(" seeds, "));
    eprintln!("    {}", saw.unwrap_or("it did not get to its end"));
    let failed: Vec<&str> = said.lines().filter(|line| line.ends_with("... FAILED")).collect();
    failed.iter().for_each(|line| eprintln!("    {line}"));
    if !output.status.success() && failed.is_empty() {
        anyhow::bail!("the simulation did not run: {}", String::from_utf8_lossy(&output.stderr));
    }
    let seeds = if saw.is_some() { plan.seeds as f64 } else { 0.0 };
    Ok(vec![
        Figure::new(OF, "seeds without overlap, never unheld past the bound", seeds, "")
            .at_least(plan.seeds as f64),
        Figure::count(OF, "checks that failed", failed.len()).at_most(0.0),
    ])
}

const OF: &str = "simulation";
