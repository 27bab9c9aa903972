# Of nixpkgs' `utils`, for paths without special characters.
{ escapeSystemdPath = path: builtins.replaceStrings [ "/" ] [ "-" ] (builtins.substring 1 (-1) path); }
