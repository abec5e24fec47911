# <?php exit()?>
*	@ALL	0
*	@user	8
