// What the instance's owner may see of the switches that only the environment turns (seed 000 §08 "instance settings").

import HTTPTypes
import Hummingbird
import JSON
import Model

struct InstanceController: Sendable {
    let switches: HTTPAPI.Switches
    let publicURL: String

    var endpoints: [Endpoint] {
        [
            .instance(.get, "/api/instance", .instanceRead) { call in
                var query = Query(call.request)
                try query.finish()
                return .json { writer in
                    writer.object { writer in
                        writer.member("version", switches.version)
                        writer.member("public_url", publicURL)
                        writer.member("database", switches.isShared ? "postgresql" : "sqlite")
                        writer.name("switches")
                        writer.array { writer in
                            for (name, variable, isOn) in switches.list {
                                writer.object { writer in
                                    writer.member("name", name)
                                    writer.member("variable", variable)
                                    writer.member("on", isOn)
                                }
                            }
                        }
                    }
                }
            }
        ]
    }
}

extension HTTPAPI {
    /// As the environment has them; a change needs a start.
    package struct Switches: Sendable {
        package var version: String
        package var isShared: Bool
        package var isGatewayEnabled: Bool
        package var isInboundSMTPEnabled: Bool
        package var isLiveSendEnabled: Bool
        package var requiresSecondFactor: Bool

        package init(
            version: String, isShared: Bool, isGatewayEnabled: Bool, isInboundSMTPEnabled: Bool,
            isLiveSendEnabled: Bool,
            requiresSecondFactor: Bool
        ) {
            self.version = version
            self.isShared = isShared
            self.isGatewayEnabled = isGatewayEnabled
            self.isInboundSMTPEnabled = isInboundSMTPEnabled
            self.isLiveSendEnabled = isLiveSendEnabled
            self.requiresSecondFactor = requiresSecondFactor
        }

        var list: [(name: String, variable: String, isOn: Bool)] {
            [
                ("email_gateway", "POSTERN_EMAILGATEWAY_ENABLED", isGatewayEnabled),
                ("inbound_smtp", "POSTERN_EMAILGATEWAY_INBOUND_SMTP_ENABLED", isInboundSMTPEnabled),
                ("live_send", "POSTERN_EMAILGATEWAY_LIVE_SEND_ENABLED", isLiveSendEnabled),
                ("second_factor_required", "POSTERN_REQUIRE_SECOND_FACTOR", requiresSecondFactor),
            ]
        }
    }
}
