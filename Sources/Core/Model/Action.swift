// Everything that can be asked of Postern, by name. What each takes stands in `ActionRule`; every route, SMTP verb and
// command names one of these.

package enum Action: String, Hashable, Sendable, CaseIterable {
    // Mail
    case messageSend = "message.send"
    case messageMap = "message.map"
    case messageRead = "message.read"
    case messageCancel = "message.cancel"
    case messageRetry = "message.retry"
    /// Having mail published to the broker, and handed over by MailerQ's HTTP (seed 000 §08).
    case routeMailerQ = "route.mailerq"
    case routeMailerQHTTP = "route.mailerq-http"
    // Callers
    case keyRead = "key.read"
    case keyWrite = "key.write"
    case smtpUserRead = "smtp_user.read"
    case smtpUserWrite = "smtp_user.write"
    /// Opening a session at the SMTP door.
    case smtpConnect = "smtp.connect"
    // The vault
    case selfRead = "self.read"
    case settingsRead = "settings.read"
    case settingsWrite = "settings.write"
    case poolRead = "pool.read"
    case poolWrite = "pool.write"
    case secretRead = "secret.read"
    case secretWrite = "secret.write"
    case memberRead = "member.read"
    case memberWrite = "member.write"
    case vaultRead = "vault.read"
    case vaultRename = "vault.rename"
    case usageRead = "usage.read"
    // Watching
    case queueRead = "queue.read"
    case queueRepair = "queue.repair"
    case mailerqRead = "mailerq.read"
    case mailerqWrite = "mailerq.write"
    case alertRead = "alert.read"
    case alertAcknowledge = "alert.acknowledge"
    case alertRuleRead = "alert_rule.read"
    case alertRuleWrite = "alert_rule.write"
    case auditRead = "audit.read"
    case auditExport = "audit.export"
    case accessExplain = "access.explain"
    // The instance
    case orphanRead = "orphan.read"
    case instanceRead = "instance.read"
    case userRead = "user.read"
    case userWrite = "user.write"
    case userDelete = "user.delete"
    case invitationRead = "invitation.read"
    case invitationWrite = "invitation.write"
    case vaultCreate = "vault.create"
    case vaultSuspend = "vault.suspend"
    case vaultArchive = "vault.archive"
    case vaultDelete = "vault.delete"
    case vaultPlan = "vault.plan"
    case planRead = "plan.read"
    case planWrite = "plan.write"
    // One's own account
    case accountRead = "account.read"
    case accountWrite = "account.write"
    case accountSecure = "account.secure"
    case sessionEnd = "session.end"
    // Everybody
    case sessionBegin = "session.begin"
    case statusRead = "status.read"
    /// What a person does on the server's own machine, with its configuration.
    case machine = "machine"
}
