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
                try await vaults.change(object, in: call.vault) { resource, before, after in
                    call.audit(.settingsWrite, resource, before: before, after: after)
                }
                return try await show(call.vault)
            },
            Endpoint(.get, "/v1/settings/{key}", .settingsRead, isGateway: false, explain),
        ]
    }

    private func show(_ vault: VaultID) async throws -> Response {
        let settings = try await vaults.settings(of: vault)
        let secrets = try await vaults.secretNames(in: vault)
        return .json { writer in
            writer.object { writer in
                writer.name("settings")
                writer.object { writer in
                    for declaration in Settings.all {
                        let view = SettingView(declaration, settings, secrets: secrets)
                        writer.name(declaration.key)
                        writer.object { writer in
                            view.writeValue(to: &writer)
                            view.writeDeclaration(to: &writer)
                        }
                    }
                }
            }
        }
    }

    /// One setting with both places where a value can stand.
    @Sendable private func explain(_ call: Call) async throws -> Response {
        let key = call.context.parameters.get("key") ?? ""
        guard let declaration = Settings.declaration(key) else {
            throw PosternError(
                .notFound, "there is no setting of this name", fix: "GET /v1/settings lists all settings.")
        }
        let settings = try await vaults.settings(of: call.vault)
        let secrets = try await vaults.secretNames(in: call.vault)
        let updated = try await vaults.updatedAt(key, in: call.vault)
        let view = SettingView(declaration, settings, secrets: secrets)
        return .json { writer in
            writer.object { writer in
                writer.member("key", key)
                view.writeValue(to: &writer)
                view.writePlaces(to: &writer)
                view.writeDeclaration(to: &writer)
                writer.member("updated_at", updated)
            }
        }
    }
}

/// What is shown of a setting: of a secret only whether there is one.
private struct SettingView {
    private let declaration: SettingDeclaration
    private let settings: SettingsSnapshot
    private let isSecretSet: Bool

    init(_ declaration: SettingDeclaration, _ settings: SettingsSnapshot, secrets: Set<String>) {
        self.declaration = declaration
        self.settings = settings
        isSecretSet = secrets.contains(declaration.key)
    }

    func writeValue(to writer: inout JSONWriter) {
        let key = declaration.key
        if declaration.isSecret {
            writer.member("value", secret)
            writer.member("source", (isSecretSet ? SettingsSnapshot.Source.vault : .unset).rawValue)
        } else {
            writer.member("value", settings.erased(key)?.json ?? .null)
            writer.member("source", settings.source(key).rawValue)
        }
    }

    func writePlaces(to writer: inout JSONWriter) {
        let own = settings.vaultValue(declaration.key)?.json ?? .null
        writer.member("vault_value", declaration.isSecret ? secret : own)
        writer.member("instance_value", settings.instanceValue(declaration.key)?.json ?? .null)
    }

    func writeDeclaration(to writer: inout JSONWriter) {
        // A secret has no place in the instance's configuration.
        writer.member("environment", declaration.isSecret ? nil : declaration.environmentKey)
        writer.member("type", declaration.typeName)
        writer.member("summary", declaration.summary)
        writer.member("optional", declaration.isOptional)
        // It is no value of the setting's kind, so it does not stand where one would.
        if !declaration.isSecret, let stored = settings.unreadableValue(declaration.key) {
            writer.name("unreadable")
            writer.value(stored)
        }
    }

    private var secret: JSONValue { .object(JSONObject(["set": .bool(isSecretSet)])) }
}
