// Writes the reference pages that are generated from the declarations; `make check` compares them with docs/.

import ArgumentParser
import Environment
import Model

struct ReferenceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reference", abstract: "Print a reference page: configuration, settings, errors or access.",
        discussion: "Example:  postern reference configuration > docs/configuration.md")

    enum Page: String, ExpressibleByArgument, CaseIterable {
        case configuration, settings, errors, access
    }

    @Argument(help: "configuration, settings, errors or access.") var page: Page

    func run() throws {
        switch page {
        case .configuration: print(Self.configurationPage, terminator: "")
        case .settings: print(Self.settingsPage, terminator: "")
        case .errors: print(Self.errorsPage, terminator: "")
        case .access: print(Self.accessPage, terminator: "")
        }
    }

    private static var configurationPage: String {
        var page = """
            # Configuration

            The instance reads its configuration from the environment, then from `--config FILE` (default `postern.env` where
            it exists), and, for `postern quickstart`, from `<data>/quickstart.env`. The first place that has a key wins; an
            empty value counts as none. A value that cannot be used, or a key that begins with `POSTERN_` and is not listed
            here, stops the start with one message that lists all problems. `postern check` looks without starting.

            The three gateway flags are also read as `AGENT_VAULT_CUSTOM_EMAILGATEWAY_ENABLED`,
            `AGENT_VAULT_CUSTOM_EMAILGATEWAY_INBOUND_SMTP_ENABLED` and `AGENT_VAULT_CUSTOM_EMAILGATEWAY_LIVE_SEND_ENABLED`.

            | key | type | default | reloads | what it does |
            |---|---|---|---|---|

            """
        for key in ConfigurationKey.all {
            let value = key.defaultText.map { "`\($0)`" } ?? "none"
            page += "| `\(key.name)` | \(key.type) | \(value) | \(key.reloads ? "yes" : "no") | \(key.summary) |\n"
        }
        return page + """

            Every setting of a vault can have an instance-level value under `POSTERN_DEFAULT_` and its name in capitals, such
            as `POSTERN_DEFAULT_ROUTE`; [settings.md](settings.md) lists them.

            """
    }

    private static var settingsPage: String {
        var page = """
            # Settings

            What a vault decides for itself. A value is looked for in the vault (`PATCH /v1/settings`, `postern settings
            set`), then at the instance (`POSTERN_DEFAULT_…`); no value is written in code. Where a setting that is needed has
            none, a submission is refused with `setting_unset`, which names both places. `GET /v1/settings` says of each value
            where it comes from. A change holds from the next submission on.

            | setting | type | may be unset | instance-level key | what it does |
            |---|---|---|---|---|

            """
        for setting in Settings.all {
            let key = setting.isSecret ? "none: a secret is kept sealed in the vault" : "`\(setting.environmentKey)`"
            page +=
                "| `\(setting.key)` | \(setting.typeName) | \(setting.isOptional ? "yes" : "no") | \(key) | "
                + "\(setting.summary) |\n"
        }
        return page
    }

    private static var errorsPage: String {
        var page = """
            # Errors

            Every refusal has a code, a sentence about the case, and a fix. By HTTP it is a problem document (RFC 9457) with
            `code`, `detail`, `fix`, `docs`, `request_id` and, where a document is at fault, `errors[]` with a JSON pointer
            each. By SMTP the reply's lines are the sentence, the fix and the code. The codes are the same at every door.

            | code | HTTP | SMTP | meaning | what to do |
            |---|---|---|---|---|

            """
        for code in ErrorCode.allCases {
            let entry = code.entry
            let (category, subject, detail) = entry.smtpEnhanced
            page +=
                "| `\(code.rawValue)` | \(entry.httpStatus) | \(entry.smtpCode) \(category).\(subject).\(detail) | "
                + "\(entry.title) | \(entry.fix) |\n"
        }
        return page
    }
}
