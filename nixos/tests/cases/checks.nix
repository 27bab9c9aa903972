{
  boot.loader.systemd-boot.enable = true;
  services.golden-generation = {
    enable = true;
    settleSecs = 30;
    reportOnly = true;
    probationSecs = 3600;
    lateFailure = "roll-back";
    checks = {
      ssh = { kind = "unit"; unit = "sshd.service"; timeoutSecs = 5; retries = 0; intervalSecs = 1; };
      units = { kind = "no-failed-units"; required = false; except = [ "a.service" "b.service" ]; };
      "a \"quoted\" name" = { kind = "tcp"; address = "[::1]:22"; needsNetwork = false; };
      web = { kind = "http"; url = "https://example.org/"; status = 204; };
      names = { kind = "dns"; name = "example.org"; server = "192.0.2.53"; };
      data = { kind = "mount"; path = "/data"; writable = false; };
      room = { kind = "disk-space"; path = "/"; freeBytes = 1000; freePercent = 5; };
      gateway = { kind = "ping"; host = "gateway"; };
      queue = { kind = "command"; command = [ "/bin/sh" "-c" "exit 0" ]; };
    };
    requiredChecks.queue-is-empty = ''
      test "$(queue-length)" -eq 0
    '';
    wantedChecks."20-backup.sh" = "test -e /backup";
  };
}
