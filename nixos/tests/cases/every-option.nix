{
  boot.loader.systemd-boot.enable = true;
  system.configurationRevision = "3f2a9c1d";
  services.golden-generation = {
    enable = true;
    maxFailures = 3;
    maxInterruptions = 10;
    maxAutomaticReboots = 0;
    rollbackTarget = "last-confirmed";
    bootDeadlineSecs = 1800;
    rebootHoldSecs = 600;
    live = {
      enable = false;
      activationSecs = 3600;
      windowSecs = 600;
      proof = "person";
      except = [ "backup.service" ];
    };
    quarantine.secondChanceAfterSecs = 86400;
    unattended = false;
    safeModeUnits = [ "tailscaled.service" ];
    mirroredBootPartitions = [ "/boot2" ];
  };
}
