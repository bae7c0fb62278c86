//! What a test puts into the API server: nodes, services, endpoints.

use serde_json::{Value, json};

use super::{ApiServer, NODE, NODE_ADDRESS};

/// Namespace of all services.
pub const NAMESPACE: &str = "shop";

/// A node with an address and a range for its pods.
pub fn node(name: &str, address: &str, pods: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "uid": name, "annotations": {}},
        "spec": {"podCIDR": pods, "podCIDRs": [pods]},
        "status": {"addresses": [{"type": "InternalIP", "address": address}]},
    })
}

/// A node whose flannel runs already, with what a backend (`vxlan`, `host-gw`) publishes for others.
pub fn flannel_node(name: &str, address: &str, pods: &str, backend: &str) -> Value {
    let data = match backend {
        "vxlan" => json!({"VNI": 1, "VtepMAC": "12:c6:65:89:b4:e3"}),
        _ => Value::Null,
    };
    let mut node = node(name, address, pods);
    node["metadata"]["annotations"] = json!({
        "flannel.alpha.coreos.com/backend-data": data.to_string(),
        "flannel.alpha.coreos.com/backend-type": backend,
        "flannel.alpha.coreos.com/kube-subnet-manager": "true",
        "flannel.alpha.coreos.com/public-ip": address,
    });
    node
}

/// A service without a type of its own; what differs is in `more`.
pub fn service(name: &str, address: &str, ports: &Value, more: Value) -> Value {
    let mut spec = json!({
        "clusterIP": address, "clusterIPs": [address], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
        "type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster", "ports": ports,
        "selector": {"app": name},
    });
    if let (Some(spec), Value::Object(more)) = (spec.as_object_mut(), more) {
        spec.extend(more);
    }
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": NAMESPACE, "uid": name}, "spec": spec, "status": {},
    })
}

/// A service's port, with a node port unless that is 0.
pub fn port(name: &str, protocol: &str, port: u16, node_port: u16) -> Value {
    let mut value = json!({"name": name, "protocol": protocol, "port": port, "targetPort": 8080});
    if node_port != 0 {
        value["nodePort"] = json!(node_port);
    }
    value
}

/// Where a service leads: ready endpoints on [`NODE`].
pub fn endpoints(service: &str, ports: &Value, addresses: &[String]) -> Value {
    let ready = json!({"ready": true, "serving": true, "terminating": false});
    let endpoint = |address: &String| json!({"addresses": [address], "nodeName": NODE, "conditions": ready});
    let endpoints: Vec<Value> = addresses.iter().map(endpoint).collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "name": format!("{service}-1"), "namespace": NAMESPACE, "uid": format!("{service}-1"),
            "labels": {"kubernetes.io/service-name": service},
        },
        "endpoints": endpoints, "ports": ports,
    })
}

impl ApiServer {
    /// Puts in [`NODE`].
    pub fn put_node(&self) {
        self.put(node(NODE, NODE_ADDRESS, "10.244.0.0/24"));
    }

    /// Puts in service number `number` (below 60,000), `shop/web-NUMBER`, of one port, with so many endpoints.
    pub fn put_service(&self, number: u16, endpoint_count: u8) {
        let name = format!("web-{number}");
        let [high, low] = [number / 250, number % 250 + 1];
        let ports = json!([port("http", "TCP", 80, 0)]);
        self.put(service(&name, &format!("10.96.{high}.{low}"), &ports, json!({})));
        let addresses: Vec<String> = (0..endpoint_count).map(|last| format!("10.244.{high}.{}", last + 2)).collect();
        self.put(endpoints(&name, &json!([{"name": "http", "protocol": "TCP", "port": 8080}]), &addresses));
    }

    /// Removes a service of [`Self::put_service`] with its endpoints.
    pub fn delete_service(&self, number: u16) {
        self.delete("EndpointSlice", NAMESPACE, &format!("web-{number}-1"));
        self.delete("Service", NAMESPACE, &format!("web-{number}"));
    }

    /// Puts in services of all kinds: a plain one, one with affinity and a node port, one of a load balancer with allowed
    /// sources and local traffic only, one without endpoints, one over UDP.
    pub fn put_services_of_all_kinds(&self) {
        let tcp = |name: &str, port: u16| json!([{"name": name, "protocol": "TCP", "port": port}]);
        let addresses: Vec<String> = (2..5).map(|last| format!("10.244.0.{last}")).collect();
        let ports = json!([port("http", "TCP", 80, 0), port("metrics", "TCP", 9090, 0)]);
        self.put(service("web", "10.96.0.10", &ports, json!({})));
        let targets = json!([
            {"name": "http", "protocol": "TCP", "port": 8080}, {"name": "metrics", "protocol": "TCP", "port": 9090},
        ]);
        self.put(endpoints("web", &targets, &addresses));

        let affinity = json!({
            "type": "NodePort", "externalTrafficPolicy": "Cluster", "sessionAffinity": "ClientIP",
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 600}},
        });
        self.put(service("sticky", "10.96.0.11", &json!([port("http", "TCP", 80, 30080)]), affinity));
        self.put(endpoints("sticky", &tcp("http", 8080), &addresses));

        let balancer = json!({
            "type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": 32000,
            "loadBalancerSourceRanges": ["198.51.100.0/24"], "externalIPs": ["192.0.2.7"],
        });
        let mut balanced = service("balanced", "10.96.0.12", &json!([port("https", "TCP", 443, 30443)]), balancer);
        balanced["status"] = json!({"loadBalancer": {"ingress": [{"ip": "203.0.113.9", "ipMode": "VIP"}]}});
        self.put(balanced);
        self.put(endpoints("balanced", &tcp("https", 8443), &addresses));

        let node_port = json!({"type": "NodePort", "externalTrafficPolicy": "Cluster"});
        self.put(service("empty", "10.96.0.13", &json!([port("http", "TCP", 80, 30081)]), node_port));
        self.put(service("dns", "10.96.0.53", &json!([port("dns", "UDP", 53, 0)]), json!({})));
        self.put(endpoints("dns", &json!([{"name": "dns", "protocol": "UDP", "port": 53}]), &addresses));
    }
}
