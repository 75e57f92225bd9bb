// `postern settings explain`: where a setting's value comes from, and what it does.

import ArgumentParser
import JSON
import Model

extension SettingsCommand {
    struct Explain: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Say what one setting does, and where its value comes from.",
            discussion: """
                Example:
                  postern settings explain route
                """)

        static let action = Action.settingsRead

        @Argument(help: "The setting's name.") var key: String
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws { try IDArgument.check(key) }

        func perform(_ api: APIClient) async throws {
            let setting = try await api.object(APIRequest(.get, "settings", key))
            try output.show(.object(setting), Self.lines(setting))
        }

        static func lines(_ setting: JSONObject) -> [String] {
            let key = Visible.text(setting["key"]?.stringValue ?? "")
            let value = SettingsAnswer.plain(setting["value"])
            let environment = setting["environment"]?.stringValue.map(Visible.text)
            let place =
                switch setting["source"]?.stringValue {
                case "vault": "\(key) is \(value): the vault's own value"
                case "instance": "\(key) is \(value): the instance's value, from \(environment ?? "its configuration")"
                default:
                    "\(key) is unset: neither the vault nor the instance has a value"
                        + (setting["optional"]?.boolValue == true ? "" : ", and what needs it is refused")
                }
            func row(_ name: String, _ text: String) -> String {
                name + String(repeating: " ", count: 12 - name.count) + (text.isEmpty ? "-" : text)
            }
            return [
                place, "",
                row("vault", SettingsAnswer.plain(setting["vault_value"])),
                row("since", SettingsAnswer.plain(setting["updated_at"])),
                row("instance", SettingsAnswer.plain(setting["instance_value"])),
                row("instance by", environment ?? ""),
                row("type", SettingsAnswer.plain(setting["type"])), "",
                SettingsAnswer.plain(setting["summary"]),
            ]
        }
    }
}
