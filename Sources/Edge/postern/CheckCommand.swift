// Looks at everything that a start would need, and names every problem in one run.

import ArgumentParser
import Environment
import JSON
import Logging
import Model
import WebClient

struct CheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Check the configuration and what it points at.",
        discussion: """
            Looks at files, at the database, and at the broker, MailerQ and alerts where they are set up, for at most ten \
            seconds. Names every problem in one run and exits with 1 if there is any. Changes nothing.

            Example:  postern check --config /etc/postern/postern.env
            """)

    @OptionGroup var options: ConfigurationOptions

    func run() async throws {
        let configuration = try options.load()
        let problems = await Checks.run(Self.files(configuration) + ConnectionChecks(configuration).all)
        guard problems == 0 else {
            print(problems == 1 ? "1 problem" : "\(problems) problems")
            throw ExitCode(1)
        }
    }

    private static func files(_ configuration: InstanceConfiguration) -> [Check] {
        [
            Check("exposure") {
                try configuration.checkExposure()
                return "no one can sign in over a network in clear"
            },
            Check("master key") { try await MasterKey.look(configuration) },
            Check("vault settings") {
                let problems = SettingRules.problems(inInstance: configuration.settingDefaults)
                guard problems.isEmpty else {
                    throw StartError(
                        description: problems.map { "\($0.pointer.dropFirst()) \($0.message)" }.joined(separator: "; "))
                }
                let missing = Startup.missingDefaults(configuration)
                return missing.isEmpty
                    ? "all that mail needs has a value"
                    : "no value for \(missing.joined(separator: ", ")): each vault needs its own"
            },
            Check("certificate") {
                guard let certificate = configuration.tlsCertificate, let key = configuration.tlsKey else {
                    return "none; SMTP offers no TLS"
                }
                _ = try CertificateStore(certificatePath: certificate, keyPath: key, logger: Logger(label: "postern"))
                return "can be used"
            },
            Check("trust roots") {
                guard let path = configuration.delivery.trustRootsFile else { return "the system's" }
                guard let text = ConfigurationOptions.text(at: path) else {
                    throw StartError(description: "POSTERN_TLS_CA_FILE: \(path) cannot be read")
                }
                do throws(WebError) {
                    let client = try WebClient(configuration: WebClientConfiguration(trustRootsPEM: text))
                    await client.shutdown()
                } catch {
                    throw StartError(description: "POSTERN_TLS_CA_FILE: \(path): \(error.message)")
                }
                return "the system's and \(path)"
            },
        ]
    }
}
