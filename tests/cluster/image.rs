//! The program in another image, as a new release would bring it.

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
