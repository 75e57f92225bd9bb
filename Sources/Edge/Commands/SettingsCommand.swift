// `postern settings`: the settings of the vault.

package import ArgumentParser
import JSON
import Model

package struct SettingsCommand: AsyncParsableCommand {
    package static let configuration = CommandConfiguration(
        commandName: "settings",
        abstract: "Read and change the vault's settings.",
        discussion: """
            Example:
              postern settings set route=smarthost smarthost_host=mail.example.com
              postern settings set 'allowed_sender_domains=example.com,*.example.com'
            """,
        subcommands: [List.self, Get.self, Explain.self, Set.self, Unset.self])

    package init() {}

    struct List: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "List all settings with their values and where these come from.",
            discussion: """
                Example:
                  postern settings list
                """)

        static let action = Action.settingsRead

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            let answer = try await api.object(APIRequest(.get, "settings"))
            let settings = try SettingsAnswer(answer)
            try output.show(.object(answer), settings.lines())
        }
    }

    struct Get: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the value of one setting.",
            discussion: """
                A list is printed with commas. A secret is never printed.

                Example:
                  postern settings get allowed_sender_domains
                """)

        static let action = Action.settingsRead

        @Argument(help: "The setting's name.") var key: String
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            let settings = try SettingsAnswer(try await api.object(APIRequest(.get, "settings")))
            guard let setting = settings.values[key] else {
                let known = settings.values.members.map(\.name).joined(separator: ", ")
                throw CommandFailure.failed("there is no setting \(key); there are \(known)")
            }
            let value = setting.objectValue?["value"]
            if setting.objectValue?["source"]?.stringValue == "unset" { Terminal.current.note("\(key) is unset") }
            try output.show(.object(JSONObject([key: setting])), [SettingsAnswer.plain(value)])
        }
    }

    struct Set: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Change settings, all or none.",
            discussion: """
                A value is JSON where the setting takes it so, else plain text; a list may be written with commas. \
                null unsets. A value of - is read from standard input, which keeps a password out of the process list.

                Example:
                  postern settings set default_priority=5 default_tags=news,weekly
                  postern settings set 'allowed_sender_domains=["example.com"]'
                  postern settings set smarthost_password=- < password.txt
                """)

        static let action = Action.settingsWrite

        @Argument(help: ArgumentHelp("What to change.", valueName: "key=value")) var settings: [String]
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func validate() throws {
            let parsed = try settings.map(SettingArgument.init)
            guard parsed.count(where: \.isFromInput) <= 1 else {
                throw ValidationError("Only one value can come from standard input.")
            }
            guard Swift.Set(parsed.map(\.key)).count == parsed.count else {
                throw ValidationError("A setting is given twice.")
            }
        }

        func perform(_ api: APIClient) async throws {
            var body = JSONObject()
            for argument in try settings.map(SettingArgument.init) {
                body[argument.key] = try argument.value(Terminal.current)
            }
            try await SettingsAnswer.change(body, api, output)
        }
    }

    struct Unset: APICommand {
        static let configuration = CommandConfiguration(
            abstract: "Go back to the instance's value of settings.",
            discussion: """
                Example:
                  postern settings unset default_campaign_id
                """)

        static let action = Action.settingsWrite

        @Argument(help: "Names of settings.") var keys: [String]
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func perform(_ api: APIClient) async throws {
            var body = JSONObject()
            for key in keys { body[key] = .null }
            try await SettingsAnswer.change(body, api, output)
        }
    }
}
