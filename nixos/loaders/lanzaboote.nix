# lanzaboote: systemd-boot with signed images. Its installer is that of boot.loader.external, which has no hook of its own.
{ config, lib, pkgs, ... }:

let
  cfg = config.services.golden-generation;
  loader = config.boot.lanzaboote or { };
  places = [ "/boot" "/efi" "/boot/efi" ];
  esp = config.boot.loader.efi.efiSysMountPoint;

  # The mark comes after the installer, however that ends. A failure of the installer stays one.
  install = pkgs.writeShellScript "install-lanzaboote-and-mark" ''
    golden_status=0
    ${config.boot.loader.external.installHook} "$@" || golden_status=$?
    ${cfg.package}/bin/golden-mark-pending "$1" || golden_status=$?
    exit "$golden_status"
  '';
in
{
  config = lib.mkIf (cfg.enable && (loader.enable or false)) {
    services.golden-generation.backends = [ "lanzaboote" ];

    # Before what boot.loader.external says, and after an owner's lib.mkForce.
    system.build.installBootLoader = lib.mkOverride 90 install;

    warnings =
      lib.optional (config.system.build.installBootLoader != install) ''
        services.golden-generation: system.build.installBootLoader is overridden (lib.mkForce?) and marks nothing: a new
        generation that panics before userspace is not covered. Wrap boot.loader.external.installHook instead.
      ''
      ++ lib.optional ((loader.configurationLimit or null) != null) ''
        services.golden-generation: lanzaboote makes boot entries of the system profile only, and of its last
        ${toString loader.configurationLimit} generations (boot.lanzaboote.configurationLimit): an older golden generation loses its
        entry. Pin a newer one before, or set boot.lanzaboote.configurationLimit = null.
      '';

    assertions = [
      {
        assertion = lib.elem esp places;
        message = ''
          services.golden-generation: the boot partition is mounted at ${esp}, where the programs do not look for it. Mount it at
          /boot, /efi or /boot/efi (boot.loader.efi.efiSysMountPoint).
        '';
      }
    ];
  };
}
