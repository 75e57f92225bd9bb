// A vault's settings, each with the place its value comes from.

import Gate
import HTTPTypes
import Hummingbird
import JSON
import Model
import Vaults

struct SettingsController: Sendable {
    let vaults: VaultDirectory

    var endpoints: [Endpoint] {
        [
            Endpoint(.get, "/v1/settings", .settingsRead, isGateway: false) { call in try await show(call.vault) },
            Endpoint(.patch, "/v1/settings", .settingsWrite, isGateway: false) { call in
                let (document, _) = try await call.document(upTo: 256 * 1024)
                guard let object = document.objectValue else {
                    throw PosternError.validation([JSONProblem(pointer: "", message: "expected an object")])
                }
                try await vaults.change(object, in: call.vault)
                return try await show(call.vault)
            },
        ]
    }

    private func show(_ vault: VaultID) async throws -> Response {
        let settings = try await vaults.snapshot(of: vault).settings
        let secrets = try await vaults.secretNames(in: vault)
        return .json { writer in
            writer.object { writer in
                writer.name("settings")
                writer.object { writer in
                    for declaration in Settings.all {
                        writer.name(declaration.key)
                        writer.object { writer in
                            if declaration.isSecret {
                                let isSet = secrets.contains(declaration.key)
                                writer.member("value", .object(JSONObject(["set": .bool(isSet)])))
                                writer.member("source", isSet ? "vault" : "unset")
                            } else {
                                writer.member("value", settings.erased(declaration.key)?.json ?? .null)
                                writer.member("source", settings.source(declaration.key).rawValue)
                            }
                        }
                    }
                }
            }
        }
    }
}
