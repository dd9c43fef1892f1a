//! Images that a cluster is not made with: our program as a new release would bring it, and programs of the tests.

use std::path::PathBuf;
use std::process::Command;

use super::bed::{Bed, Node, SOON, host, wait};
use super::command::Script;

/// An image that is not the one that the cluster was made with.
#[derive(Debug)]
pub(crate) struct Image {
    /// Its name.
    pub(crate) reference: String,
    archive: PathBuf,
}

impl Image {
    /// Packs the program, and imports the image on each of the nodes.
    pub(crate) fn load(script: &Script, nodes: &[Node], program: &str, tag: &str) -> Self {
        let archive = script.folder().join(format!("{tag}.tar"));
        let image = Self { reference: format!("ghcr.io/vipcast/vipcast:{tag}"), archive };
        let mut pack = Command::new("bash");
        pack.args(["-euc", r#". "$1/tools/lib/archive.sh"; pack_vipcast "$1" "$2" "$3" "$4""#, "-"]);
        pack.args([env!("CARGO_MANIFEST_DIR"), &image.reference, program]).arg(&image.archive);
        // Of the same program another image: its labels differ.
        pack.envs([("VERSION", tag), ("REVISION", tag)]);
        assert!(pack.output().unwrap().status.success(), "{tag} cannot be packed");
        let file = image.archive.to_str().unwrap();
        nodes.iter().for_each(|node| drop(script.run("load", &[&host(*node), file])));
        image
    }

    /// Writes it into the static pod's manifest of a node, and waits until its process is another one.
    pub(crate) fn put(&self, bed: &Bed, node: Node) {
        let before = bed.daemon(node);
        // Not edited in place: the kubelet would read the file that an editor writes beside it.
        let edit = format!(
            "sed 's|image: .*|image: {}|' /etc/kubernetes/manifests/vipcast.yaml >/etc/kubernetes/vipcast.new && \
             mv /etc/kubernetes/vipcast.new /etc/kubernetes/manifests/vipcast.yaml",
            self.reference
        );
        bed.exec(node, &["bash", "-c", &edit]);
        wait("the new image runs", SOON, || {
            bed.process(node, "vipcast").filter(|process| *process != before)
        });
    }
}

/// Builds a program in `tests/kubernetes` and puts an image of it onto every node, once for a cluster.
pub(crate) fn load_component(bed: &Bed, component: &str, reference: &str) {
    let archive = bed.script.folder().join(format!("{component}.tar"));
    if archive.exists() {
        return;
    }
    let build = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kubernetes/build.sh"))
        .arg(component)
        .status();
    assert!(build.unwrap().success(), "{component} cannot be built");
    // The client's $PATH has the programs of Kubernetes.
    let pack = format!(
        "set -e; . {}/tools/lib/archive.sh; pack_program {reference} {} \"$(command -v {component})\" /{component}",
        env!("CARGO_MANIFEST_DIR"),
        archive.display()
    );
    bed.script.run("exec", &["client", "bash", "-c", &pack]);
    for node in bed.nodes() {
        bed.script.run("load", &[&host(*node), archive.to_str().unwrap()]);
    }
}
