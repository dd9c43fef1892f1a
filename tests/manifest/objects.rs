//! Every object is created at a real API server, which refuses unknown and doubled fields and wrong values.

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::support::real_api::{Launch, RealApi};
use super::{JSON, LINE, YAML, collection, create, documents};

pub(crate) fn accepted() {
    let api = RealApi::start(Launch::default()).expect("starts");
    Runtime::new().unwrap().block_on(async {
        let client = api.client("admin").await.unwrap();
        surroundings(&client).await;
        for line in lines() {
            for document in documents(&line) {
                let object: Value = serde_saphyr::from_str(&document).unwrap();
                let created = create(&client, &collection(&object), YAML, document.clone()).await;
                created.unwrap_or_else(|error| panic!("{line}: {error}\n{document}"));
            }
        }
        static_pods(&client).await;
        let unknown = documents(&format!("pod {LINE}"))[0].replace("hostNetwork:", "hostNetworks:");
        let refused = create(&client, "/api/v1/namespaces/kube-system/pods", YAML, unknown).await;
        assert!(
            refused.is_err_and(|error| error.to_string().contains("unknown field \"spec.hostNetworks\""))
        );
    });
}

/// The kubelet shows a static pod to the API as a mirror of it, which must not refer to anything that is in the API.
async fn static_pods(client: &kube::Client) {
    for (line, is_static) in [(format!("pod {LINE}"), true), (format!("pod --inCluster {LINE}"), false)] {
        let mut mirror: Value = serde_saphyr::from_str(&documents(&line)[0]).unwrap();
        mirror["metadata"]["name"] = json!("vipcast-cp1");
        mirror["metadata"]["annotations"] = json!({ "kubernetes.io/config.mirror": "0" });
        mirror["spec"]["nodeName"] = json!("cp1");
        let path = collection(&mirror);
        let created = create(client, &path, JSON, mirror.to_string()).await;
        assert_eq!(created.is_ok(), is_static, "{created:?}");
        let expected = "a mirror pod may not reference service accounts";
        assert!(created.err().is_none_or(|error| error.to_string().contains(expected)));
    }
}

/// All kinds, in an order in which they can be created, with all that changes their form.
fn lines() -> Vec<String> {
    let much = "--controlPlaneHealthCheckCAPath /etc/kubernetes-ca/ca.crt --prometheusHTTPServer [::1]:9000 \
                --k8sConfigPath /etc/rancher/k3s/k3s.yaml --leaseName vips/lock --layer2-refresh 750ms \
                --nodeName Some.Node --vipSubnet 32,128 --address fd00::1,192.0.2.1 --controlplane --arp";
    let services = r#"--services --arp --services-distribution spread --manifest-namespace default --events-enabled=false
                      --services-pools [{"name":"lan","addresses":"192.0.2.64/26"}] --services-pool-config-maps default/pools"#;
    vec![
        "rbac".to_owned(),
        format!("rbac --kube-vip-names --services-namespace default {services}"),
        "rbac --role --kube-vip-names --events-enabled=false --manifest-namespace kube-public --namespace default"
            .to_owned(),
        "rbac --rolebinding --events-enabled=false --manifest-namespace kube-node-lease".to_owned(),
        "service-account --manifest-namespace kube-public".to_owned(),
        "podmonitor".to_owned(),
        format!("configmap {LINE} --manifest-namespace kube-public"),
        format!("pod {LINE}"),
        format!("pod --inCluster --kube-vip-names --manifest-namespace kube-public {LINE}"),
        format!("pod --manifest-namespace kube-public {much}"),
        format!("daemonset {LINE}"),
        format!("daemonset --inCluster --taint --kube-vip-names {LINE}"),
        format!(
            "daemonset --inCluster --taint=false --from-configmap --manifest-namespace kube-public {LINE}"
        ),
        format!("daemonset --inCluster {services}"),
    ]
}

/// What a cluster's controllers would have made.
async fn surroundings(client: &kube::Client) {
    for namespace in ["kube-system", "kube-public"] {
        let account =
            json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "default" } });
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts");
        create(client, &path, JSON, account.to_string()).await.unwrap();
    }
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    create(client, path, JSON, pod_monitors().to_string()).await.unwrap();
    for _ in 0..300 {
        let request = axum::http::Request::get("/apis/monitoring.coreos.com/v1/podmonitors");
        if client.request::<Value>(request.body(Vec::new()).unwrap()).await.is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("PodMonitors are not served");
}

/// As much of the Prometheus operator's definition as our objects touch: another field than these is refused.
fn pod_monitors() -> Value {
    let text = json!({ "type": "string" });
    let texts = json!({ "type": "object", "additionalProperties": text });
    let endpoint =
        json!({ "type": "object", "properties": { "port": text, "path": text, "interval": text } });
    let spec = json!({
        "type": "object",
        "required": ["selector"],
        "properties": {
            "selector": { "type": "object", "properties": { "matchLabels": texts } },
            "podMetricsEndpoints": { "type": "array", "items": endpoint },
        },
    });
    let schema = json!({ "type": "object", "required": ["spec"], "properties": { "spec": spec } });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "podmonitors.monitoring.coreos.com" },
        "spec": {
            "group": "monitoring.coreos.com", "scope": "Namespaced",
            "names": { "kind": "PodMonitor", "plural": "podmonitors", "singular": "podmonitor" },
            "versions": [
                { "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": schema } }
            ],
        },
    })
}
