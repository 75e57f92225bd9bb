// The keys of the broker, of MailerQ, of alerts and of several processes: infrastructure, so in the environment only.

extension ConfigurationKey {
    package static let processLease = ConfigurationKey(
        "POSTERN_PROCESS_LEASE", "seconds", default: "60",
        "How long a process counts as alive without a sign; then its messages go to others. 5 to 3600.")

    package static let amqpURL = ConfigurationKey(
        "POSTERN_AMQP_URL", "URL", default: nil,
        "RabbitMQ: `amqp[s]://user:password@host[:port][/vhost]`, several of a cluster separated by commas. "
            + "Needs the three queues.")
    package static let amqpExchange = ConfigurationKey(
        "POSTERN_AMQP_EXCHANGE", "name", default: "the default exchange", "Where messages are published to.")
    package static let amqpRoutingKey = ConfigurationKey(
        "POSTERN_AMQP_ROUTING_KEY", "name", default: "the outbox queue's name", "The routing key they carry.")
    package static let amqpDeclare = ConfigurationKey(
        "POSTERN_AMQP_DECLARE", "one of none, quorum, classic, or true for quorum", default: "none",
        "Whether the queues are made at the start, and of which kind. Existing ones must have the same arguments.")
    package static let amqpPrefetch = ConfigurationKey(
        "POSTERN_AMQP_PREFETCH", "integer", default: "200", "Results that a process has in hand at once. 1 to 2000.")
    package static let amqpMaxMessageBytes = ConfigurationKey(
        "POSTERN_AMQP_MAX_MESSAGE_BYTES", "bytes", default: "134217728",
        "A document for MailerQ at most. RabbitMQ 3 takes 128 MiB; set 16777216 for RabbitMQ 4, whose limit is lower.")
    package static let queueOutbox = ConfigurationKey(
        "POSTERN_QUEUE_OUTBOX", "name", default: nil, "The queue that MailerQ takes messages from.")
    package static let queueSuccess = ConfigurationKey(
        "POSTERN_QUEUE_SUCCESS", "name", default: nil, "The queue of results of messages that were delivered.")
    package static let queueFailure = ConfigurationKey(
        "POSTERN_QUEUE_FAILURE", "name", default: nil, "The queue of results of messages that failed.")
    package static let queueRetry = ConfigurationKey(
        "POSTERN_QUEUE_RETRY", "name", default: nil,
        "The queue of attempts that MailerQ repeats later. Unset: they show when the message has come to its end.")
    package static let rabbitMQManagementURL = ConfigurationKey(
        "POSTERN_RABBITMQ_MANAGEMENT_URL", "URL", default: nil,
        "RabbitMQ's management API, for rates and unacknowledged messages. Credentials in the URL, "
            + "else those of POSTERN_AMQP_URL.")

    package static let mailerQURL = ConfigurationKey(
        "POSTERN_MAILERQ_URL", "URL", default: nil, "MailerQ's REST API: `https://host:port`.")
    package static let mailerQToken = ConfigurationKey(
        "POSTERN_MAILERQ_TOKEN", "text", default: nil, "Its API token. This, or user name and password.")
    package static let mailerQUsername = ConfigurationKey(
        "POSTERN_MAILERQ_USERNAME", "text", default: nil, "Its user, for HTTP Basic.")
    package static let mailerQPassword = ConfigurationKey(
        "POSTERN_MAILERQ_PASSWORD", "text", default: nil, "The user's password.")
    package static let mailerQMIME = ConfigurationKey(
        "POSTERN_MAILERQ_MIME", "one of canonical, responsive, string", default: "canonical",
        "How MailerQ gets a message's content. Finished messages are always a string.")
    package static let mailerQOperations = ConfigurationKey(
        "POSTERN_MAILERQ_OPERATIONS", "list of METHOD /path", default: "every operation that reads",
        "The operations of MailerQ's REST API that `/v1/mailerq` passes on, separated by commas.")

    package static let alertWebhookURL = ConfigurationKey(
        "POSTERN_ALERT_WEBHOOK_URL", "URL", default: nil, "Where alerts are posted to.")
    package static let alertWebhookSecret = ConfigurationKey(
        "POSTERN_ALERT_WEBHOOK_SECRET", "text", default: nil, "Signs them, by HMAC-SHA256.")
    package static let alertEmail = ConfigurationKey(
        "POSTERN_ALERT_EMAIL", "address", default: nil, "Who gets alerts by mail. Needs the next two.")
    package static let alertFrom = ConfigurationKey(
        "POSTERN_ALERT_FROM", "address", default: nil, "Who they are from: a sender domain of that vault.")
    package static let alertVault = ConfigurationKey(
        "POSTERN_ALERT_VAULT", "slug", default: nil, "The vault that sends them.")
    package static let alertFailureBacklog = ConfigurationKey(
        "POSTERN_ALERT_FAILURE_BACKLOG", "integer", default: "100",
        "An alert opens when a vault has more failures than this that nobody drained or requeued.")
    package static let alertPublishStalled = ConfigurationKey(
        "POSTERN_ALERT_PUBLISH_STALLED", "seconds", default: "120",
        "An alert opens when a message that is due has waited longer than this.")

    static let gateway: [ConfigurationKey] = [
        processLease, amqpURL, amqpExchange, amqpRoutingKey, amqpDeclare, amqpPrefetch, amqpMaxMessageBytes,
        queueOutbox, queueSuccess,
        queueFailure, queueRetry, rabbitMQManagementURL, mailerQURL, mailerQToken, mailerQUsername, mailerQPassword,
        mailerQMIME, mailerQOperations, alertWebhookURL, alertWebhookSecret, alertEmail, alertFrom, alertVault,
        alertFailureBacklog, alertPublishStalled,
    ]
}
