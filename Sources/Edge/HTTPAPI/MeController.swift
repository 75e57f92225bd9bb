// Who the gate thinks is asking.

import Gate
import HTTPTypes
import Hummingbird
import JSON
import Model

struct MeController: Sendable {
    var endpoints: [Endpoint] {
        [
            Endpoint(.get, "/v1/me", .selfRead, isGateway: false) { call in
                let caller = call.caller
                return .json { writer in
                    writer.object { writer in
                        writer.member("id", caller.identity.id)
                        switch caller.identity {
                        case .key: writer.member("kind", "key")
                        case .smtpUser: writer.member("kind", "smtp_user")
                        }
                        writer.member("label", caller.label)
                        writer.member("vault", caller.vault.text)
                        writer.member("scopes", caller.scopes.namesInOrder)
                        writer.member("read_only", caller.isReadOnly)
                        writer.name("sender_domains")
                        if let domains = caller.senderDomains { writer.value(domains.json) } else { writer.null() }
                    }
                }
            }
        ]
    }
}
