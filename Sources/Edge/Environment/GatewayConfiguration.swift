// The broker, MailerQ and the alerts, as the environment gives them.

package import AMQP
package import MIME
package import MailerQREST
import Model
package import Sealing
package import WebClient

package struct BrokerConfiguration: Sendable {
    package enum Declare: String, Sendable, CaseIterable {
        case none, quorum, classic
    }

    package struct Queues: Sendable {
        package var outbox: String
        package var success: String
        package var failure: String
        package var retry: String?
    }

    package var endpoints: [AMQPEndpoint]
    package var exchange: String
    package var routingKey: String
    package var declare: Declare
    package var prefetch: Int
    /// Bytes of a document at most.
    package var maximumBytes: Int
    package var queues: Queues
    package var managementURL: Secret<String>?

    /// A plain yes means the kind of queue that survives the loss of a node.
    private static func declare(_ source: inout ConfigurationSource) -> Declare {
        switch source.text(.amqpDeclare) {
        case "true": .quorum
        case "false": .none
        default: source.choice(.amqpDeclare, default: .none)
        }
    }

    /// - Returns: `nil` where no broker is set up, or where problems were added.
    init?(_ source: inout ConfigurationSource) {
        guard let url = source.text(.amqpURL) else { return nil }
        var isComplete = true
        func name(_ key: ConfigurationKey, _ source: inout ConfigurationSource) -> String {
            let name = source.text(key) ?? ""
            // AMQP 0-9-1: a short string.
            if name.utf8.count > 255 { source.problem("\(key.name) is longer than 255 bytes") }
            return name
        }
        func needed(_ key: ConfigurationKey, _ source: inout ConfigurationSource) -> String {
            if source.text(key) == nil {
                source.problem("\(key.name) is unset, and POSTERN_AMQP_URL needs it")
                isComplete = false
            }
            return name(key, &source)
        }
        let queues = Queues(
            outbox: needed(.queueOutbox, &source), success: needed(.queueSuccess, &source),
            failure: needed(.queueFailure, &source), retry: source.text(.queueRetry))
        let names = [queues.outbox, queues.success, queues.failure] + (queues.retry.map { [$0] } ?? [])
        if isComplete, Set(names).count < names.count {
            source.problem("the queues POSTERN_QUEUE_… must all have different names")
        }
        self.queues = queues
        exchange = name(.amqpExchange, &source)
        let routingKey = name(.amqpRoutingKey, &source)
        self.routingKey = routingKey.isEmpty ? queues.outbox : routingKey
        declare = Self.declare(&source)
        prefetch = source.integer(.amqpPrefetch, in: 1...2000, default: 200)
        maximumBytes = source.integer(.amqpMaxMessageBytes, in: 65_536...536_870_912, default: 134_217_728)
        managementURL = source.webURL(.rabbitMQManagementURL).map(Secret.init)
        if let managementURL, (try? WebEndpoint.parse(managementURL.reveal())) == nil {
            source.problem("POSTERN_RABBITMQ_MANAGEMENT_URL is no address that can be asked")
        }
        do throws(AMQPError) {
            endpoints = try AMQPEndpoint.parse(url)
        } catch {
            source.problem("POSTERN_AMQP_URL: \(error)")
            return nil
        }
        guard isComplete else { return nil }
    }
}

package struct MailerQConfiguration: Sendable {
    package enum Content: String, Sendable, CaseIterable {
        case canonical, responsive, string
    }

    /// MailerQ's REST API with our credentials; `nil` where it is not set up.
    package var endpoint: WebEndpoint?
    package var content: Content
    package var operations: MailerQOperations

    init(_ source: inout ConfigurationSource) {
        content = source.choice(.mailerQMIME, default: .canonical)
        operations = Self.operations(&source)
        endpoint = Self.endpoint(&source)
    }

    private static func operations(_ source: inout ConfigurationSource) -> MailerQOperations {
        guard let text = source.text(.mailerQOperations) else { return MailerQOperations() }
        do throws(MailerQOperations.Problem) {
            return try MailerQOperations.parse(text)
        } catch {
            source.problem("POSTERN_MAILERQ_OPERATIONS \(error)")
            return MailerQOperations()
        }
    }

    private static func endpoint(_ source: inout ConfigurationSource) -> WebEndpoint? {
        let token = source.text(.mailerQToken).map(Secret.init)
        let username = source.text(.mailerQUsername)
        let password = source.text(.mailerQPassword).map(Secret.init)
        guard let url = source.text(.mailerQURL) else {
            if token != nil || username != nil || password != nil {
                source.problem("MailerQ's credentials are set, and POSTERN_MAILERQ_URL is not")
            }
            return nil
        }
        do throws(WebError) {
            let endpoint = try WebEndpoint.parse(url)
            switch (token, username, password) {
            case (let token?, nil, nil): return try endpoint.authorized(token: token)
            case (nil, let username?, let password?):
                return try endpoint.authorized(username: username, password: password)
            default:
                source.problem(
                    "POSTERN_MAILERQ_URL needs POSTERN_MAILERQ_TOKEN, or POSTERN_MAILERQ_USERNAME and …_PASSWORD, "
                        + "and not both")
            }
        } catch {
            source.problem("POSTERN_MAILERQ_URL: \(error.message)")
        }
        return nil
    }
}

package struct AlertConfiguration: Sendable {
    package struct Mail: Sendable {
        package var to: EmailAddress
        package var from: EmailAddress
        package var vault: String
    }

    package var webhookURL: String?
    package var webhookSecret: Secret<String>?
    package var mail: Mail?
    package var failureBacklog: Int
    package var publishStalled: Double

    init(_ source: inout ConfigurationSource) {
        webhookURL = source.webURL(.alertWebhookURL)
        webhookSecret = source.text(.alertWebhookSecret).map(Secret.init)
        if webhookSecret != nil, webhookURL == nil {
            source.problem("POSTERN_ALERT_WEBHOOK_SECRET is set, and POSTERN_ALERT_WEBHOOK_URL is not")
        }
        failureBacklog = source.integer(.alertFailureBacklog, in: 0...1_000_000_000, default: 100)
        publishStalled = source.seconds(.alertPublishStalled, in: 1...604_800) ?? 120
        let (to, from, vault) = (source.text(.alertEmail), source.text(.alertFrom), source.text(.alertVault))
        guard to != nil || from != nil || vault != nil else { return }
        guard let to, let from, let vault else {
            source.problem("POSTERN_ALERT_EMAIL, POSTERN_ALERT_FROM and POSTERN_ALERT_VAULT belong together")
            return
        }
        guard let recipient = try? EmailAddress(parsing: to), let sender = try? EmailAddress(parsing: from) else {
            source.problem("POSTERN_ALERT_EMAIL and POSTERN_ALERT_FROM must be mail addresses")
            return
        }
        mail = Mail(to: recipient, from: sender, vault: vault)
    }
}

extension ConfigurationSource {
    mutating func choice<Choice: RawRepresentable & CaseIterable>(
        _ key: ConfigurationKey,
        default value: Choice
    ) -> Choice where Choice.RawValue == String {
        guard let text = text(key) else { return value }
        if let choice = Choice(rawValue: text) { return choice }
        let names = Choice.allCases.map(\.rawValue).joined(separator: ", ")
        problem("\(key.name) is \"\(text.prefix(40))\", and must be one of \(names)")
        return value
    }

    /// An `http` or `https` URL, without a slash at its end.
    mutating func webURL(_ key: ConfigurationKey) -> String? {
        guard var url = text(key) else { return nil }
        guard url.hasPrefix("http://") || url.hasPrefix("https://") else {
            problem("\(key.name) must begin with http:// or https://")
            return nil
        }
        while url.hasSuffix("/") { url.removeLast() }
        return url
    }
}
